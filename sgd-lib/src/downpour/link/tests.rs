mod losses;
mod snapshots;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::codec;
use crate::codec::{Codec, Encoder};
use crate::downpour::log::Folded;
use crate::store::{Claim, ClaimRequest, MemoryStore, RunKeys, Snapshot, Store, Vector};

const ROWS: &[(usize, usize)] = &[(2, 2)];

fn far_end(store: &Arc<dyn Store>, run: &RunKeys, worker: u32) -> FarEnd {
    claimed(store, run, worker, false)
}

/// Of whoever takes the place of a worker that may live.
fn successor(store: &Arc<dyn Store>, run: &RunKeys, worker: u32) -> FarEnd {
    claimed(store, run, worker, true)
}

fn claimed(store: &Arc<dyn Store>, run: &RunKeys, worker: u32, seize: bool) -> FarEnd {
    let request = ClaimRequest {
        place: format!("{worker}-{seize}"),
        worker: Some(worker),
        workers: 20,
        holder: worker.to_string(),
        ttl: Duration::from_secs(60),
        from: None,
        seize,
    };
    let Claim::Granted { lease, .. } = store.claim(run, &request).unwrap() else { panic!("no place") };
    let folded = Folded::load(&**store, run, ROWS).unwrap();
    FarEnd::new(store.clone(), run.clone(), lease, ROWS.to_vec(), 2, &folded, None)
}

fn run(store: &Arc<dyn Store>) -> RunKeys {
    let run = RunKeys::new("test").unwrap();
    crate::state::put(&**store, &run.config(), &(), 0, None).unwrap();
    let parameters = codec::blob::pack(&[0.0; 4]);
    let start = Snapshot { version: 1, vector: Vector::new(), parameters };
    assert!(store.write_snapshot(&run, &start, Instant::now()).unwrap());
    run
}

fn payload(value: f32) -> Vec<u8> {
    let (mut payload, mut decoded) = (Vec::new(), vec![0.0; 4]);
    Encoder::new(Codec::F32, ROWS).encode(&[value; 4], &mut decoded, &mut payload).unwrap();
    payload
}

fn push(end: &mut FarEnd) {
    let push = Some((EntryKind::Push, Progress::default()));
    let reply = end.answer(Request { push, payload: payload(1.0), ..Request::default() }).unwrap();
    assert_eq!(reply.push, Some(PushOutcome::Accepted));
}

fn at(minibatch: u32) -> Position {
    Position { epoch: 0, minibatch }
}

/// Pushes `value` at the end of the round that ends at `minibatch`, or only looks who is there.
fn round(end: &mut FarEnd, value: Option<f32>, minibatch: u32) -> Reply {
    let push = value.map(|_| (EntryKind::Push, Progress { at: at(minibatch), ..Progress::default() }));
    let awaited = Some(vec![at(minibatch); 2]);
    let payload = value.map(payload).unwrap_or_default();
    end.answer(Request { push, payload, fetch: true, awaited, sum: vec![0.0; 4], ..Request::default() })
        .unwrap()
}

#[test]
fn a_fetch_brings_everything_that_there_is() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let run = run(&store);
    let (mut reader, mut writer) = (far_end(&store, &run, 0), far_end(&store, &run, 1));
    for _ in 0..300 {
        push(&mut writer);
    }
    let fetch = |end: &mut FarEnd| {
        end.answer(Request { fetch: true, sum: vec![0.0; 4], ..Request::default() }).unwrap()
    };
    // The writer's stream is not known before.
    fetch(&mut reader);
    let reply = fetch(&mut reader);
    assert_eq!((reply.pushes, reply.sum), (300, vec![300.0; 4]));
}

#[test]
fn no_snapshot_of_a_deleted_run_is_written() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let run = run(&store);
    let mut end = far_end(&store, &run, 0);
    push(&mut end);
    store.delete_run(&run).unwrap();
    end.answer(Request { snapshot: Some(vec![1.0; 4]), ..Request::default() }).unwrap();
    assert_eq!(store.snapshot(&run).unwrap(), None);
}

#[test]
fn a_round_is_folded_when_all_have_finished_it_and_in_the_order_of_workers() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let run = run(&store);
    let mut one = far_end(&store, &run, 1);
    let mut zero = far_end(&store, &run, 0);
    // So far apart that the order of adding shows.
    let (large, small) = (16_777_216.0, 1.0);
    let waiting = round(&mut one, Some(large), 1);
    assert!(!waiting.complete && !waiting.folded);
    let first = round(&mut zero, Some(small), 1);
    assert!(first.complete && first.pushes == 1);
    assert_eq!(first.sum, vec![small + large; 4]);
    assert!(!first.payload.is_empty(), "the buffer comes back");
    // Worker 0 is a round ahead: that is not for worker 1 yet.
    assert!(!round(&mut zero, Some(5.0), 2).complete);
    let second = round(&mut one, None, 1);
    assert!(second.complete);
    assert_eq!(second.sum, first.sum);
    let last = round(&mut one, Some(3.0), 2);
    assert_eq!((last.complete, last.sum), (true, vec![8.0; 4]));
}

#[test]
fn a_snapshot_holds_what_is_folded_not_what_is_held() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let run = run(&store);
    let mut one = far_end(&store, &run, 1);
    let mut zero = far_end(&store, &run, 0);
    round(&mut one, Some(1.0), 1);
    let base = round(&mut zero, Some(2.0), 1).sum;
    round(&mut one, None, 1);
    round(&mut one, Some(4.0), 2);
    assert!(!round(&mut zero, None, 2).complete);
    zero.answer(Request { snapshot: Some(base), ..Request::default() }).unwrap();
    let folded = Folded::load(&*store, &run, ROWS).unwrap();
    assert_eq!((folded.snapshot_version, folded.parameters), (2, vec![7.0; 4]));
}
