//! Every promise of the `Store` trait, against both stores, and Redis under TLS, too.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::time::{Duration, Instant};

use sgd_lib::state;
use sgd_lib::store::{
    Claim, ClaimRequest, Cursors, EntryId, EntryKind, Exchange, Lease, Mark, Passed, PushOutcome, RunKeys,
    Snapshot, Vector,
};
use support::SECOND;
use support::pushes::{granted, push, request, run, send, write};

#[test]
fn typed_state_is_compare_and_set() {
    for test in support::stores_and_tls() {
        let store = &*test.store;
        assert_eq!(store.read("k").unwrap(), None);
        assert_eq!(store.write(&[write("k", b"a", 0)], None).unwrap(), None, "{}", test.name);
        assert_eq!(store.write(&[write("k", b"b", 0)], None).unwrap(), Some(0), "{}", test.name);
        assert_eq!(store.write(&[write("k", b"b", 1)], None).unwrap(), None, "{}", test.name);
        let found = store.read("k").unwrap().unwrap();
        assert_eq!((found.value.as_slice(), found.version), (b"b".as_slice(), 2), "{}", test.name);
    }
}

#[test]
fn several_keys_are_written_together_or_not_at_all() {
    for test in support::stores_and_tls() {
        let store = &*test.store;
        store.write(&[write("a", b"1", 0)], None).unwrap();
        let stale = [write("b", b"2", 0), write("a", b"2", 0)];
        assert_eq!(store.write(&stale, None).unwrap(), Some(1), "{}", test.name);
        assert_eq!(store.read("b").unwrap(), None, "{}", test.name);
        assert_eq!(store.write(&[write("b", b"2", 0), write("a", b"2", 1)], None).unwrap(), None);
        assert_eq!(store.read("a").unwrap().unwrap().value, b"2", "{}", test.name);
        assert_eq!(store.write(&[], None).unwrap(), None, "{}", test.name);
    }
}

#[test]
fn what_is_renewed_lives_on_and_what_is_gone_stays_gone() {
    for test in support::stores_and_tls() {
        let store = &*test.store;
        let (short, name) = (SECOND, test.name);
        store.write(&[write("state", b"a", 0)], Some(short)).unwrap();
        store.create_blob("blob", b"x", short).unwrap();
        let keys = ["state", "blob", "nothing"].map(str::to_owned);
        assert_eq!(store.renew(&keys, 60 * SECOND).unwrap(), 2, "{name}");
        std::thread::sleep(short + SECOND / 5);
        assert_eq!(store.read("state").unwrap().unwrap().version, 1, "{name}");
        assert!(store.read_blob("blob").unwrap().is_some(), "{name}");
        assert_eq!(store.read_blob("nothing").unwrap(), None, "{name}");
    }
}

#[test]
fn state_and_blobs_expire() {
    for test in support::stores_and_tls() {
        let (store, ttl) = (&*test.store, Duration::from_millis(30));
        store.write(&[write("k", b"a", 0)], Some(ttl)).unwrap();
        assert!(store.create_blob("b", b"x", ttl).unwrap());
        assert!(!store.create_blob("b", b"y", ttl).unwrap(), "{}", test.name);
        assert_eq!(store.read_blob("b").unwrap().unwrap(), b"x", "{}", test.name);
        std::thread::sleep(ttl * 3);
        assert_eq!(store.read("k").unwrap(), None, "{}", test.name);
        assert_eq!(store.read_blob("b").unwrap(), None, "{}", test.name);
    }
}

#[test]
fn places_are_given_from_the_lowest_and_once_each() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        for worker in 0..3 {
            let place = format!("call-{worker}");
            let lease = granted(store.claim(&run, &request(&place, None, &place)).unwrap());
            assert_eq!(lease.worker, worker, "{}", test.name);
        }
        let again = store.claim(&run, &request("call-1", None, "another")).unwrap();
        assert_eq!(again, Claim::Duplicate { worker: 1 }, "{}", test.name);
        assert_eq!(store.claim(&run, &request("call-3", None, "d")).unwrap(), Claim::Taken, "{}", test.name);
        assert_eq!(store.claim(&run, &request("x", Some(2), "d")).unwrap(), Claim::Taken, "{}", test.name);
        assert_eq!(store.claim(&run, &request("x", Some(7), "d")).unwrap(), Claim::Taken, "{}", test.name);
        assert_eq!(store.held(&run, 0..4).unwrap(), [true, true, true, false], "{}", test.name);
        assert_eq!(store.streams(&run).unwrap(), 3, "{}", test.name);
    }
}

#[test]
fn a_run_that_is_over_or_was_never_there_gives_no_place() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        let nobody = RunKeys::new("nobody").unwrap();
        assert!(matches!(store.claim(&nobody, &request("c", None, "h")).unwrap(), Claim::Over { .. }));
        assert_eq!(store.stop(&run, "target").unwrap(), "target");
        assert_eq!(store.stop(&run, "requested").unwrap(), "target", "{}", test.name);
        let claim = store.claim(&run, &request("c", None, "h")).unwrap();
        assert_eq!(claim, Claim::Over { reason: "target".into() }, "{}", test.name);
    }
}

#[test]
fn a_push_counts_once_and_a_late_one_never() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        let mut first = request("a", Some(0), "first");
        first.ttl = Duration::from_millis(30);
        let old = granted(store.claim(&run, &first).unwrap());
        let entry = push(&old, 1);
        assert_eq!(send(store, &run, &old, &entry), (Some(PushOutcome::Accepted), true), "{}", test.name);
        // Its answer was lost: sent again.
        assert_eq!(send(store, &run, &old, &entry), (Some(PushOutcome::Accepted), true), "{}", test.name);
        std::thread::sleep(Duration::from_millis(90));
        let claim = store.claim(&run, &request("b", Some(0), "second")).unwrap();
        assert!(matches!(&claim, Claim::Granted { resumed: true, .. }), "{}: {claim:?}", test.name);
        let new = granted(claim);
        assert!(new.token > old.token, "{}", test.name);
        let late = send(store, &run, &old, &push(&old, 2));
        assert_eq!(late, (Some(PushOutcome::Fenced), false), "{}", test.name);
        let entry = push(&new, 1);
        assert_eq!(send(store, &run, &new, &entry), (Some(PushOutcome::Accepted), true), "{}", test.name);

        let cursors = Cursors::from([(0, EntryId::ZERO)]);
        let fetch = Exchange { cursors: Some(&cursors), entries_per_stream: 99, ..Exchange::default() };
        let fetched = store.exchange(&run, &fetch).unwrap();
        let kinds: Vec<_> = fetched.entries[0].1.iter().map(|entry| entry.kind).collect();
        let wanted = [EntryKind::Fence, EntryKind::Push, EntryKind::Fence, EntryKind::Push];
        assert_eq!(kinds, wanted, "{}", test.name);
        assert_eq!(fetched.entries[0].1[2].prev, push(&old, 1).id, "{}", test.name);
        assert_eq!(fetched.entries[0].1[3], entry, "{}", test.name);
        assert_eq!(fetched.streams, [0], "{}", test.name);
    }
}

#[test]
fn a_lease_that_is_given_up_goes_to_whoever_knows_its_token_and_only_once() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        let old = granted(store.claim(&run, &request("a", Some(0), "first")).unwrap());
        let after = |place: &str, holder: &str, token| ClaimRequest {
            from: Some(token),
            ..request(place, Some(0), holder)
        };
        let wrong = store.claim(&run, &after("b", "second", old.token - 1)).unwrap();
        assert_eq!(wrong, Claim::Taken, "{}", test.name);
        let new = granted(store.claim(&run, &after("b", "second", old.token)).unwrap());
        assert!(new.token > old.token, "{}", test.name);
        assert_eq!(
            send(store, &run, &old, &push(&old, 1)),
            (Some(PushOutcome::Fenced), false),
            "{}",
            test.name
        );
        // Its answer was lost: the same claim again.
        assert_eq!(
            granted(store.claim(&run, &after("b", "second", old.token)).unwrap()),
            new,
            "{}",
            test.name
        );
        // The same call is delivered to somebody else, and another has the same token.
        let again = store.claim(&run, &after("b", "third", old.token)).unwrap();
        assert_eq!(again, Claim::Duplicate { worker: 0 }, "{}", test.name);
        let other = store.claim(&run, &after("c", "fourth", old.token)).unwrap();
        assert_eq!(other, Claim::Taken, "{}", test.name);
    }
}

#[test]
fn a_lease_is_given_up_to_its_holder_itself_and_in_a_run_that_was_stopped() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        let first = granted(store.claim(&run, &request("a", Some(0), "first")).unwrap());
        let given =
            |place: &str, token| ClaimRequest { from: Some(token), ..request(place, Some(0), "second") };
        // The call is one that the holder was called by.
        let second = granted(store.claim(&run, &given("a", first.token)).unwrap());
        assert!(second.token > first.token, "{}", test.name);
        store.stop(&run, "requested").unwrap();
        let late = store.claim(&run, &given("b", first.token)).unwrap();
        assert_eq!(late, Claim::Over { reason: "requested".into() }, "{}", test.name);
        assert!(granted(store.claim(&run, &given("b", second.token)).unwrap()).token > second.token);
    }
}

#[test]
fn an_expired_lease_that_nobody_took_is_renewed() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        let mut short = request("a", Some(1), "h");
        short.ttl = Duration::from_millis(20);
        let lease = granted(store.claim(&run, &short).unwrap());
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(store.held(&run, 0..2).unwrap(), [false, false], "{}", test.name);
        let lease = Lease { ttl: SECOND, ..lease };
        assert!(
            store
                .exchange(&run, &Exchange { lease: Some(&lease), ..Exchange::default() })
                .unwrap()
                .lease_held
        );
        assert_eq!(store.held(&run, 0..2).unwrap(), [false, true], "{}", test.name);
        store.release(&run, &Lease { holder: "somebody else".into(), ..lease.clone() }).unwrap();
        assert_eq!(store.held(&run, 0..2).unwrap(), [false, true], "{}", test.name);
        store.release(&run, &lease).unwrap();
        assert_eq!(store.held(&run, 0..2).unwrap(), [false, false], "{}", test.name);
    }
}

#[test]
fn a_deleted_run_takes_no_push() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        let lease = granted(store.claim(&run, &request("a", None, "h")).unwrap());
        assert_eq!(store.runs().unwrap(), ["test"], "{}", test.name);
        assert!(store.delete_run(&run).unwrap() > 0);
        assert_eq!(store.runs().unwrap(), [""; 0], "{}", test.name);
        assert_eq!(send(store, &run, &lease, &push(&lease, 1)).0, Some(PushOutcome::Gone), "{}", test.name);
    }
}

#[test]
fn a_snapshot_replaces_the_one_before_and_trims_the_log_but_its_last_entry() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        let lease = granted(store.claim(&run, &request("a", None, "h")).unwrap());
        for seq in 1..=3 {
            send(store, &run, &lease, &push(&lease, seq));
        }
        let mark = Mark {
            id: push(&lease, 2).id,
            progress: push(&lease, 2).progress.unwrap(),
            passed: Passed::default(),
        };
        let next = Snapshot { version: 2, vector: Vector::from([(0, mark)]), parameters: vec![1, 2, 3] };
        assert!(store.write_snapshot(&run, &next, Instant::now()).unwrap(), "{}", test.name);
        assert!(store.write_snapshot(&run, &next, Instant::now()).unwrap(), "repeated: {}", test.name);
        let other = Snapshot { parameters: vec![9], vector: Vector::new(), ..next.clone() };
        assert!(!store.write_snapshot(&run, &other, Instant::now()).unwrap(), "{}", test.name);
        assert_eq!(store.snapshot(&run).unwrap().unwrap(), next, "{}", test.name);
        assert_eq!(store.snapshot_vector(&run).unwrap().unwrap(), (2, next.vector), "{}", test.name);
        let cursors = Cursors::from([(0, EntryId::ZERO)]);
        let fetch = Exchange { cursors: Some(&cursors), entries_per_stream: 9, ..Exchange::default() };
        let left = store.exchange(&run, &fetch).unwrap();
        assert_eq!(left.snapshot_version, 2, "{}", test.name);
        let ids: Vec<_> = left.entries[0].1.iter().map(|entry| entry.id.seq).collect();
        assert_eq!(ids, [2, 3], "{}", test.name);
    }
}

#[test]
fn events_come_in_order_and_waking() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        assert!(store.events(&run, "0", Duration::from_millis(10)).unwrap().is_empty(), "{}", test.name);
        let tell = |text: &str| {
            let events = [text.as_bytes().to_vec()];
            store.exchange(&run, &Exchange { events: &events, ..Exchange::default() }).unwrap();
        };
        tell("one");
        let first = store.events(&run, "0", SECOND).unwrap();
        assert_eq!(first[0].1, b"one", "{}", test.name);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| store.events(&run, &first[0].0, SECOND * 4).unwrap());
            tell("two");
            assert_eq!(waiting.join().unwrap()[0].1, b"two", "{}", test.name);
        });
    }
}

#[test]
fn the_number_of_workers_is_fixed_once_and_locks_are_exclusive() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        assert_eq!(store.control(&run).unwrap().workers, None);
        assert_eq!(store.fix_workers(&run, 2).unwrap(), 2);
        assert_eq!(store.fix_workers(&run, 5).unwrap(), 2, "{}", test.name);
        assert!(store.lock(&run, "l", "a", SECOND).unwrap());
        assert!(!store.lock(&run, "l", "b", SECOND).unwrap(), "{}", test.name);
        store.unlock(&run, "l", "b").unwrap();
        assert!(!store.lock(&run, "l", "b", SECOND).unwrap(), "{}", test.name);
        store.unlock(&run, "l", "a").unwrap();
        assert!(store.lock(&run, "l", "b", SECOND).unwrap(), "{}", test.name);
    }
}

#[test]
fn something_else_under_a_key_is_an_error_that_names_it() {
    let test = support::redis();
    let store = &*test.store;
    store.create_blob("blob", b"x", SECOND).unwrap();
    let error = store.read("blob").unwrap_err().to_string();
    assert!(error.contains("WRONGTYPE"), "{error}");
    store.write(&[write("k", b"\xff\xff\xff", 0)], None).unwrap();
    let error = state::get::<String>(store, "k").unwrap_err().to_string();
    assert!(error.starts_with("k: 3 bytes that are no alloc::string::String"), "{error}");
}

#[test]
fn a_lock_whose_answer_was_lost_is_the_holders_all_the_same() {
    for test in support::stores_and_tls() {
        let (store, run) = (&*test.store, run(&*test.store));
        assert!(store.lock(&run, "l", "a", SECOND).unwrap());
        assert!(store.lock(&run, "l", "a", SECOND).unwrap(), "{}", test.name);
        assert!(!store.lock(&run, "l", "b", SECOND).unwrap(), "{}", test.name);
    }
}
