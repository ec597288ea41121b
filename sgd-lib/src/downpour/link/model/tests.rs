//! What is explored.

use super::explorer::explore;
use super::system::Model;
use super::{Broken, Size};

/// All states are right.
fn holds(size: Size) {
    match explore(&Model::new(size, Broken::Nothing)) {
        Ok(states) => println!("{states} states: {size:?}"),
        Err(found) => panic!("{size:?}: {}, after {:#?}", found.wrong, found.steps),
    }
}

/// A wrong state is found, for this reason.
fn fails(broken: Broken, size: Size, wrong: &str) {
    match explore(&Model::new(size, broken)) {
        Ok(states) => panic!("{broken:?} is not found in {states} states"),
        Err(found) => assert!(found.wrong.contains(wrong), "{broken:?}: {}", found.wrong),
    }
}

#[test]
fn a_worker_is_replaced_at_any_point() {
    holds(Size::SMALL);
}

#[test]
fn any_answer_is_lost() {
    holds(Size { lost_answers: 2, ..Size::SMALL });
}

#[test]
fn a_snapshot_is_written_and_the_log_trimmed_at_any_point() {
    holds(Size { snapshots: 1, ..Size::SMALL });
}

#[test]
fn a_registered_reader_comes_at_any_point() {
    holds(Size { snapshots: 1, reader: true, successors: 0, ..Size::SMALL });
}

#[test]
fn a_store_comes_back_without_its_last_writes() {
    holds(Size { restarts: 1, ..Size::SMALL });
}

#[test]
fn workers_fetch_snapshots() {
    holds(Size { fetch_snapshots: true, successors: 0, ..Size::SMALL });
}

#[test]
fn each_broken_rule_is_found() {
    let snapshots = Size { snapshots: 1, ..Size::SMALL };
    let restarts = Size { restarts: 1, ..Size::SMALL };
    fails(Broken::NoFence, Size::SMALL, "2 times");
    fails(Broken::NewNameForRetry, Size { lost_answers: 1, ..Size::SMALL }, "2 times");
    fails(Broken::NoGaps, snapshots, "times, not 1");
    fails(Broken::StreamsBeforeEntries, Size::SMALL, "of");
    fails(Broken::ReadersUnheeded, Size { reader: true, ..snapshots }, "trimmed before");
    fails(Broken::NoComparison, restarts, "");
    fails(Broken::TokensWithoutTime, restarts, "");
}

/// Minutes; `make model`.
#[test]
#[ignore = "takes minutes: make model"]
fn three_workers() {
    holds(Size { workers: 3, ..Size::SMALL });
}
