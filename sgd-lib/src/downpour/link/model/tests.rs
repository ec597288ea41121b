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

/// What is wrong with the search, unless it finds a wrong state for this reason.
fn missed((broken, size, wrong): (Broken, Size, &str)) -> Option<String> {
    match explore(&Model::new(size, broken)) {
        Ok(states) => Some(format!("{broken:?} is not found in {states} states")),
        Err(found) => {
            println!("{broken:?}, after {} steps: {}", found.steps.len(), found.wrong);
            (!found.wrong.contains(wrong)).then(|| format!("{broken:?}: {}", found.wrong))
        }
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
    let successors = Size { minibatches: 2, ..Size::ALONE };
    let reader = Size { reader: true, snapshots: 1, minibatches: 2, ..Size::ALONE };
    let rules = [
        (Broken::NoFence, successors, "2 times, not 1"),
        (Broken::NewNameForRetry, Size { lost_answers: 1, ..Size::ALONE }, "2 times, not 1"),
        (Broken::NoGaps, snapshot, "0 times, not 1"),
        (Broken::ReadersUnheeded, reader, "trimmed before it was read"),
        (Broken::NoComparison, restart, "trimmed 100 times"),
        (Broken::ClaimUnknown, restart, "trimmed 100 times"),
        (Broken::TokensWithoutTime, Size { successors: 2, minibatches: 1, ..restart }, "trimmed 100 times"),
    ];
    let missed: Vec<_> = rules.into_iter().filter_map(missed).collect();
    assert!(missed.is_empty(), "{missed:#?}");
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
