use super::*;
use crate::codec::{Codec, Encoder};
use crate::store::{Claim, ClaimRequest, MemoryStore, Snapshot};

const ROWS: &[(usize, usize)] = &[(2, 2)];

fn far_end(store: &Arc<dyn Store>, run: &RunKeys, worker: u32) -> FarEnd {
    let request = ClaimRequest {
        place: worker.to_string(),
        worker: Some(worker),
        workers: 2,
        holder: worker.to_string(),
        ttl: Duration::from_secs(60),
        seize: false,
    };
    let Claim::Granted { lease, .. } = store.claim(run, &request).unwrap() else { panic!("no place") };
    let folded = Folded::load(&**store, run, ROWS).unwrap();
    FarEnd {
        store: store.clone(),
        run: run.clone(),
        lease,
        rows: ROWS.to_vec(),
        vector: folded.vector,
        snapshot_version: folded.snapshot_version,
        workers: 2,
        epochs: 1,
        log_bytes: 0,
        watched: Instant::now(),
        global: None,
    }
}

fn run(store: &Arc<dyn Store>) -> RunKeys {
    let run = RunKeys::new("test").unwrap();
    crate::state::put(&**store, &run.config(), &(), 0, None).unwrap();
    let parameters = codec::blob::pack(&[0.0; 4]);
    let start = Snapshot { version: 1, vector: Vector::new(), parameters };
    assert!(store.write_snapshot(&run, &start).unwrap());
    run
}

fn push(end: &mut FarEnd) {
    let (mut payload, mut decoded) = (Vec::new(), vec![0.0; 4]);
    Encoder::new(Codec::F32, ROWS).encode(&[1.0; 4], &mut decoded, &mut payload).unwrap();
    let push = Some((EntryKind::Push, Progress::default()));
    let reply = end.answer(Request { push, payload, ..Request::default() }).unwrap();
    assert_eq!(reply.push, Some(PushOutcome::Accepted));
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
