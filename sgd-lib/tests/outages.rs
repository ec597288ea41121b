//! What becomes of pushes when Redis is away, can't do what it is asked, or comes back without what it had.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use local_redis::{LocalRedis, Options};
use sgd_lib::store::{
    Cursors, EntryId, Exchange, Exchanged, Known, Lease, Mark, PushOutcome, RedisStore, RunKeys, Snapshot,
    Store, StoreError, Vector,
};
use support::SECOND;
use support::proxy::Proxy;
use support::pushes::{granted, push, request, run, send, write};

/// A server, a store in it that is patient, and a lease of a run there.
fn begin(options: Options, patience: Duration) -> (LocalRedis, RedisStore, RunKeys, Lease) {
    let redis = LocalRedis::start(options).unwrap();
    let store = RedisStore::open(redis.url()).unwrap().with_patience(patience);
    let (keys, lease) = lease(&store);
    (redis, store, keys, lease)
}

fn lease(store: &dyn Store) -> (RunKeys, Lease) {
    let keys = run(store);
    let lease = granted(store.claim(&keys, &request("a", None, "h")).unwrap());
    (keys, Lease { ttl: 60 * SECOND, ..lease })
}

/// Says something to the server itself.
fn tell(redis: &LocalRedis, command: &[&str]) {
    let mut connection = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let mut told = redis::cmd(command[0]);
    told.arg(&command[1..]).exec(&mut connection).unwrap();
}

/// Pushes as a worker does that had pushed everything up to there, since `since`.
fn go_on(
    store: &RedisStore,
    keys: &RunKeys,
    lease: &Lease,
    since: Instant,
    seq: u64,
) -> Result<Exchanged, StoreError> {
    let entry = push(lease, seq);
    let ends = || Cursors::from([(lease.worker, entry.prev)]);
    let known = Some(Known { since, ends: &ends });
    let exchange = Exchange { push: Some(&entry), lease: Some(lease), known, ..Exchange::default() };
    store.exchange(keys, &exchange)
}

/// The numbers of a stream's entries.
fn pushed(store: &dyn Store, keys: &RunKeys) -> Vec<u64> {
    let cursors = Cursors::from([(0, EntryId::ZERO)]);
    let fetch = Exchange { cursors: Some(&cursors), entries_per_stream: 1000, ..Exchange::default() };
    let found = store.exchange(keys, &fetch).unwrap().entries;
    found.iter().flat_map(|(_, entries)| entries).map(|entry| entry.id.seq).collect()
}

#[test]
fn a_store_that_restarts_is_found_again() {
    let mut test = support::redis();
    test.store.write(&[write("k", b"a", 0)], None).unwrap();
    let redis = test.redis.as_mut().unwrap();
    redis.kill().unwrap();
    redis.restart().unwrap();
    assert_eq!(test.store.read("k").unwrap().unwrap().value, b"a");
}

#[test]
fn an_exchange_waits_while_a_restarted_store_loads_its_log() {
    // A server that takes its time for each command of its log.
    let config = vec!["key-load-delay 200".to_owned()];
    let mut redis = LocalRedis::start(Options { config, ..Options::default() }).unwrap();
    let store = RedisStore::open(redis.url()).unwrap().with_patience(60 * SECOND);
    let keys = run(&store);
    let lease = granted(store.claim(&keys, &request("a", None, "h")).unwrap());
    let lease = Lease { ttl: 60 * SECOND, ..lease };
    let many: Vec<_> = (0..10_000).map(|key| write(&format!("k{key}"), b"x", 0)).collect();
    store.write(&many, None).unwrap();
    redis.kill().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| redis.restart().unwrap());
        let sent = send(&store, &keys, &lease, &push(&lease, 1));
        assert_eq!(sent, (Some(PushOutcome::Accepted), true));
    });
}

#[test]
fn a_push_whose_reply_breaks_off_counts_once() {
    let redis = LocalRedis::start(Options::default()).unwrap();
    let proxy = Proxy::before(redis.url());
    let store = RedisStore::open(&proxy.url).unwrap();
    let (keys, lease) = lease(&store);
    let since = Instant::now();
    for seq in 1..=20 {
        proxy.cut_the_next_reply();
        // The first reply on a new connection is not the push's.
        let done =
            if seq % 2 == 0 { go_on(&store, &keys, &lease, since, seq) } else { Ok(Exchanged::default()) };
        let sent = done.unwrap().push.or_else(|| send(&store, &keys, &lease, &push(&lease, seq)).0);
        assert_eq!(sent, Some(PushOutcome::Accepted), "{seq}");
    }
    assert_eq!(pushed(&store, &keys), (0..=20).collect::<Vec<_>>());
}

#[test]
fn a_push_waits_for_a_replica_to_become_the_master() {
    let (redis, store, keys, lease) = begin(Options::default(), 60 * SECOND);
    let since = Instant::now();
    send(&store, &keys, &lease, &push(&lease, 1));
    // Of a master that nobody reaches, so that it keeps what it has.
    tell(&redis, &["REPLICAOF", "127.0.0.1", "1"]);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            tell(&redis, &["REPLICAOF", "NO", "ONE"]);
        });
        assert_eq!(go_on(&store, &keys, &lease, since, 2).unwrap().push, Some(PushOutcome::Accepted));
    });
    tell(&redis, &["REPLICAOF", "127.0.0.1", "1"]);
    let hasty = RedisStore::open(redis.url()).unwrap().with_patience(Duration::from_millis(50));
    let error = go_on(&hasty, &keys, &lease, since, 3).unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("read only replica"), "{error}");
}

#[test]
fn a_full_memory_is_named_and_waited_for() {
    let (redis, store, keys, lease) = begin(Options::default(), Duration::from_millis(50));
    let since = Instant::now();
    send(&store, &keys, &lease, &push(&lease, 1));
    tell(&redis, &["CONFIG", "SET", "maxmemory", "1"]);
    let error = go_on(&store, &keys, &lease, since, 2).unwrap_err().to_string();
    assert!(error.contains(redis.url().strip_prefix("redis://").unwrap()), "{error}");
    assert!(error.contains("raise maxmemory") && error.contains("can be resumed"), "{error}");
    let claim = store.claim(&keys, &request("b", None, "i")).unwrap_err();
    assert!(matches!(claim, StoreError::Full { command: "claiming a lease", .. }), "{claim}");
    let store = store.with_patience(60 * SECOND);
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(300));
            tell(&redis, &["CONFIG", "SET", "maxmemory", "0"]);
        });
        assert_eq!(go_on(&store, &keys, &lease, since, 2).unwrap().push, Some(PushOutcome::Accepted));
    });
    assert_eq!(pushed(&store, &keys), [0, 1, 2]);
}

#[test]
fn a_slow_reply_is_waited_for() {
    let (redis, store, keys, lease) = begin(Options::default(), Duration::from_millis(50));
    let since = Instant::now();
    send(&store, &keys, &lease, &push(&lease, 1));
    let signal = |name: &str| {
        let status = Command::new("kill").arg(name).arg(redis.pid().unwrap().to_string()).status().unwrap();
        assert!(status.success(), "{name}");
    };
    signal("-STOP");
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(500));
            signal("-CONT");
        });
        assert_eq!(go_on(&store, &keys, &lease, since, 2).unwrap().push, Some(PushOutcome::Accepted));
    });
}

#[test]
fn nobody_who_listens_is_an_error_that_names_the_address() {
    let (mut redis, store, keys, lease) = begin(Options::default(), Duration::from_millis(50));
    let since = Instant::now();
    redis.kill().unwrap();
    let error = go_on(&store, &keys, &lease, since, 1).unwrap_err();
    assert!(error.is_transient(), "{error}");
    let address = redis.url().strip_prefix("redis://").unwrap();
    assert!(error.to_string().starts_with(&format!("store {address}: an exchange: ")), "{error}");
}

/// A server that is a node of a cluster, with these slots.
fn node(slots: [&str; 2]) -> LocalRedis {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = ["cluster-enabled yes", "cluster-require-full-coverage no"].map(str::to_owned);
    let config = [config.as_slice(), &[format!("cluster-port {port}")]].concat();
    let redis = LocalRedis::start(Options { config, ..Options::default() }).unwrap();
    tell(&redis, &["CLUSTER", "ADDSLOTSRANGE", slots[0], slots[1]]);
    redis
}

#[test]
fn one_of_several_nodes_of_a_cluster_is_refused() {
    let (node, other) = (node(["0", "8191"]), node(["8192", "16383"]));
    let client = redis::Client::open(other.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let text: String = redis::cmd("CLUSTER").arg("NODES").query(&mut connection).unwrap();
    // <id> 127.0.0.1:<port>@<bus port> …
    let address = text.split_whitespace().nth(1).unwrap().split(',').next().unwrap();
    let (port, bus) = address.rsplit(':').next().unwrap().split_once('@').unwrap();
    tell(&node, &["CLUSTER", "MEET", "127.0.0.1", port, bus]);
    let store = RedisStore::open(node.url()).unwrap().with_patience(60 * SECOND);
    // Until the nodes know of each other, the other's slots are nobody's, which may pass.
    let (mine, others) = ("a", "b");
    let refusals: Vec<_> =
        [mine, others].iter().filter_map(|key| store.write(&[write(key, b"x", 0)], None).err()).collect();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    let error = refusals[0].to_string();
    assert!(
        error.contains("Moved: ") && error.contains("one of several nodes of a Redis Cluster"),
        "{error}"
    );
}

#[test]
fn who_knows_of_what_the_store_has_lost_is_told_so_and_writes_nothing() {
    let (mut redis, store, keys, lease) = begin(Options::default(), 60 * SECOND);
    let since = Instant::now();
    let mut length = 0;
    for seq in 1..=5 {
        let reconnected = go_on(&store, &keys, &lease, since, seq).unwrap().reconnected;
        assert_eq!(reconnected, None, "the connection is older than what is known");
        length = if seq == 3 { redis.log_length().unwrap() } else { length };
    }
    // Nothing is lost by a crash alone.
    redis.kill().unwrap();
    redis.restart().unwrap();
    let made = go_on(&store, &keys, &lease, since, 6).unwrap().reconnected;
    let since = made.expect("a new connection");
    redis.restart_with_log_of(length).unwrap();
    let error = go_on(&store, &keys, &lease, since, 7).unwrap_err();
    let StoreError::Forgot { key, found, known, .. } = &error else { panic!("{error}") };
    assert_eq!(key, "dp:{test}:log:0");
    assert_eq!([found, known].map(|id| id.rsplit('-').next().unwrap()), ["3", "6"], "{error}");
    assert_eq!(pushed(&store, &keys), [0, 1, 2, 3]);
    // What it has is gone on from.
    assert_eq!(go_on(&store, &keys, &lease, since, 4).unwrap().push, Some(PushOutcome::Accepted));
}

#[test]
fn no_snapshot_brings_back_what_the_store_has_lost() {
    let (mut redis, store, keys, lease) = begin(Options::default(), 60 * SECOND);
    let since = Instant::now();
    send(&store, &keys, &lease, &push(&lease, 1));
    let length = redis.log_length().unwrap();
    send(&store, &keys, &lease, &push(&lease, 2));
    redis.restart_with_log_of(length).unwrap();
    let snapshot = |id| {
        let vector = Vector::from([(0, Mark { id, ..Mark::default() })]);
        Snapshot { version: 2, vector, parameters: vec![1] }
    };
    let lost = push(&lease, 2).id;
    assert!(!store.write_snapshot(&keys, &snapshot(lost), since).unwrap());
    // Nor when a successor, with a higher token, has written since.
    store.release(&keys, &lease).unwrap();
    let successor = granted(store.claim(&keys, &request("b", Some(0), "i")).unwrap());
    assert!(successor.token > lease.token);
    assert!(!store.write_snapshot(&keys, &snapshot(lost), since).unwrap());
    assert!(store.write_snapshot(&keys, &snapshot(push(&lease, 1).id), since).unwrap());
}

#[test]
fn a_store_that_lost_everything_is_told_from_one_that_restarted() {
    let volatile = Options { append_only: false, ..Options::default() };
    let (mut redis, store, keys, lease) = begin(volatile, 60 * SECOND);
    let since = Instant::now();
    go_on(&store, &keys, &lease, since, 1).unwrap();
    redis.kill().unwrap();
    redis.restart().unwrap();
    let error = go_on(&store, &keys, &lease, since, 2).unwrap_err();
    assert!(matches!(&error, StoreError::Emptied { run, .. } if run == "test"), "{error}");
    // Another run of the same name has nothing to do with the workers of the first one.
    let (_, other) = self::lease(&store);
    assert_eq!(go_on(&store, &keys, &lease, since, 2).unwrap().push, Some(PushOutcome::Fenced));
    assert_eq!(go_on(&store, &keys, &other, since, 1).unwrap().push, Some(PushOutcome::Accepted));
    assert_eq!(pushed(&store, &keys), [0, 1]);
}
