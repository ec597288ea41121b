//! A run that nobody trains: leases, pushes and typed state as tests write them.

use sgd_lib::downpour::Run;
use sgd_lib::state;
use sgd_lib::store::{
    Claim, ClaimRequest, Entry, EntryId, EntryKind, Exchange, Lease, Passed, Position, Progress, PushOutcome,
    RunKeys, Store, Write,
};

use super::SECOND;

pub(crate) fn run(store: &dyn Store) -> RunKeys {
    let keys = RunKeys::new("test").unwrap();
    Run::initialise(store, &keys, &super::config(3)).unwrap();
    state::put(store, &keys.config(), &super::config(3), 0, None).unwrap();
    keys
}

pub(crate) fn request(place: &str, worker: Option<u32>, holder: &str) -> ClaimRequest {
    ClaimRequest {
        place: place.into(),
        worker,
        workers: 3,
        holder: holder.into(),
        ttl: SECOND,
        from: None,
        seize: false,
    }
}

pub(crate) fn granted(claim: Claim) -> Lease {
    match claim {
        Claim::Granted { lease, .. } => lease,
        other => panic!("not granted: {other:?}"),
    }
}

pub(crate) fn push(lease: &Lease, seq: u64) -> Entry {
    Entry {
        id: EntryId { token: lease.token, seq },
        prev: EntryId { token: lease.token, seq: seq - 1 },
        kind: EntryKind::Push,
        progress: Some(Progress {
            at: Position { epoch: 0, minibatch: seq as u32 },
            minibatches: seq,
            samples: 32 * seq,
            pushes: seq,
        }),
        seen: vec![(9, EntryId { token: 1, seq: 2 })],
        payload: vec![seq as u8; 100],
        passed: Passed::default(),
    }
}

pub(crate) fn send(
    store: &dyn Store,
    run: &RunKeys,
    lease: &Lease,
    entry: &Entry,
) -> (Option<PushOutcome>, bool) {
    let exchange = Exchange { push: Some(entry), lease: Some(lease), ..Exchange::default() };
    let done = store.exchange(run, &exchange).unwrap();
    (done.push, done.lease_held)
}

pub(crate) fn write(key: &str, value: &[u8], expected: u64) -> Write {
    Write { key: key.into(), value: value.into(), expected }
}
