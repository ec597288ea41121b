//! Where a worker stands that has pushed elsewhere before.

use super::*;
use crate::downpour::log::Until;
use crate::downpour::nodes;
use crate::store::{Entry, EntryId, Exchange, FIRST_NODE, Passed};

#[test]
fn a_worker_of_a_synchronous_run_goes_on_from_what_a_node_passed_on() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (run, node) = (run(&store), FIRST_NODE + 1);
    let synchronizer = nodes::seize(&*store, &run, node, Duration::from_secs(60)).unwrap().unwrap();
    // What worker 1 pushed in two rounds, and worker 0 in three.
    let sum = |seq, stands: [u32; 2]| Entry {
        id: EntryId { token: synchronizer.token, seq },
        prev: EntryId { token: synchronizer.token, seq: seq - 1 },
        kind: EntryKind::Push,
        progress: Some(Progress::default()),
        seen: Vec::new(),
        payload: payload(1.0),
        passed: Passed {
            workers: (0..).zip(stands).map(|(worker, stands)| (worker, progress(stands))).collect(),
            ..Passed::default()
        },
    };
    for (seq, stands) in [(1, [10, 0]), (2, [10, 10]), (3, [10, 20]), (4, [20, 20]), (5, [30, 20])] {
        let entry = sum(seq, stands);
        let push = Exchange { push: Some(&entry), lease: Some(&synchronizer), ..Exchange::default() };
        assert_eq!(store.exchange(&run, &push).unwrap().push, Some(PushOutcome::Accepted));
    }
    // The node is gone. Who takes over in the global store has pushed nothing there.
    successor(&store, &run, 1);
    let everybody = |at: Position| Some(vec![at; 2]);
    let folded = Folded::load_until(&*store, &run, ROWS, Until::Stand(1, &everybody)).unwrap();
    assert_eq!((folded.progress(1), folded.progress(0)), (progress(20), progress(20)));
    assert_eq!(folded.parameters, [4.0; 4]);
}

fn progress(minibatch: u32) -> Progress {
    Progress { at: at(minibatch), minibatches: minibatch.into(), ..Progress::default() }
}
