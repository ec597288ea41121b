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
    holds(Size { lost_answers: 2, minibatches: 2, ..Size::ALONE });
    holds(Size { lost_answers: 1, successors: 0, ..Size::SMALL });
}

#[test]
fn a_snapshot_is_written_and_the_log_trimmed_at_any_point() {
    holds(Size { snapshots: 1, minibatches: 2, successors: 0, ..Size::SMALL });
    holds(Size { snapshots: 1, minibatches: 2, ..Size::ALONE });
}

#[test]
fn a_registered_reader_comes_at_any_point() {
    holds(Size { snapshots: 2, reader: true, minibatches: 2, successors: 0, ..Size::ALONE });
}

#[test]
fn a_store_comes_back_without_its_last_writes() {
    holds(Size { restarts: 1, minibatches: 2, ..Size::ALONE });
    holds(Size { restarts: 1, minibatches: 2, successors: 0, ..Size::SMALL });
}

#[test]
fn workers_fetch_snapshots() {
    holds(Size { fetch_snapshots: true, successors: 0, ..Size::SMALL });
}

#[test]
fn each_broken_rule_is_found() {
    let snapshot = Size { snapshots: 1, minibatches: 2, successors: 0, ..Size::SMALL };
    let restart = Size { restarts: 1, minibatches: 2, ..Size::ALONE };
    fails(Broken::NoFence, Size { minibatches: 2, ..Size::ALONE }, "2 times");
    fails(Broken::NewNameForRetry, Size { lost_answers: 1, ..Size::ALONE }, "2 times");
    fails(Broken::NoGaps, snapshot, "a worker at rest has");
    fails(Broken::ReadersUnheeded, Size { reader: true, snapshots: 1, minibatches: 2, ..Size::ALONE }, "trimmed");
    fails(Broken::NoComparison, restart, "");
    fails(Broken::TokensWithoutTime, restart, "");
    fails(Broken::ClaimUnknown, restart, "trimmed 100 times");
    fails(Broken::StreamsBeforeEntries, Size::SMALL, "");
}

/// Minutes each; `make model`.
#[test]
#[ignore = "takes minutes: make model"]
fn three_workers() {
    holds(Size { workers: 3, successors: 0, ..Size::SMALL });
}

#[test]
#[ignore = "takes minutes: make model"]
fn answers_are_lost_where_workers_are_replaced() {
    holds(Size { lost_answers: 1, ..Size::SMALL });
}

#[test]
#[ignore = "takes minutes: make model"]
fn snapshots_where_workers_are_replaced() {
    holds(Size { snapshots: 1, ..Size::SMALL });
}

#[test]
#[ignore = "takes minutes: make model"]
fn restarts_where_workers_are_replaced() {
    holds(Size { restarts: 1, ..Size::SMALL });
}

#[test]
#[ignore = "takes minutes: make model"]
fn a_registered_reader_of_two_workers() {
    holds(Size { snapshots: 1, reader: true, successors: 0, ..Size::SMALL });
}

#[test]
#[ignore = "takes minutes: make model"]
fn workers_that_fetch_snapshots_are_replaced() {
    holds(Size { fetch_snapshots: true, ..Size::SMALL });
}
