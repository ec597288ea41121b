//! Bounded staleness, rates divided by it, and workers that are much slower than the others.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sgd_lib::codec;
use sgd_lib::dataset::Dataset;
use sgd_lib::downpour::{Algorithm, Combine, Departure, Folded, Run, RunConfig, StalenessLr, StopReason};
use sgd_lib::store::{Cursors, Exchange, MemoryStore, Position, Progress, Store};
use support::crew::{Gate, Here, check_counts, create, invoke, lose_the_second, recruiter};

const BOUND: u32 = 2;

/// 126 minibatches a worker and epoch.
fn bounded(data: &Dataset, algorithm: Algorithm) -> RunConfig {
    RunConfig {
        algorithm,
        max_staleness: Some(BOUND),
        epochs: 2,
        batch_size: 8,
        n_push: 3,
        n_fetch: 5,
        ..support::config_for(data, 2)
    }
}

fn progress(run: &Run, worker: u32) -> Progress {
    let rows = run.config().architecture.rows();
    let folded = Folded::load(&**run.store(), run.keys(), &rows).unwrap();
    folded.vector.get(&worker).map_or_else(Progress::default, |mark| mark.progress)
}

fn pushes(run: &Run, worker: u32) -> u64 {
    progress(run, worker).pushes
}

#[test]
fn nobody_is_further_ahead_of_the_slowest_than_the_bound() {
    let data = support::data();
    for algorithm in [Algorithm::Downpour, Algorithm::Easgd] {
        for test in support::stores() {
            let what = format!("{algorithm} on {}", test.name);
            let run = create(test.store.clone(), bounded(&data, algorithm));
            let gate = Arc::new(Gate::default());
            thread::scope(|scope| {
                scope.spawn(|| invoke(&run, &data, 1, None, &Here::at(&gate), 20_000));
                gate.await_arrival();
                scope.spawn(|| invoke(&run, &data, 0, None, &Here::for_ever(), 20_000));
                let most = u64::from(BOUND) + 1;
                while pushes(&run, 0) < most {
                    thread::sleep(Duration::from_millis(1));
                }
                thread::sleep(Duration::from_millis(50));
                assert_eq!(pushes(&run, 0), most, "{what}: it has as many under way as it may");
                gate.open();
            });
            check_counts(&run, &what);
            for worker in run.status().unwrap().workers {
                // One more than a push's, since it is counted from fetch to fetch.
                let most = u64::from(2 * BOUND + 2);
                assert!(worker.staleness_max <= most, "{what}: {worker:?}");
            }
        }
    }
}

#[test]
fn one_that_dies_is_waited_for_until_its_successor_is_there() {
    let data = support::data();
    for test in support::stores() {
        let run = create(test.store.clone(), bounded(&data, Algorithm::Downpour));
        lose_the_second(&run, &data, test.name);
        assert_eq!(run.status().unwrap().workers[1].handovers, 1, "{}", test.name);
    }
}

#[test]
fn a_stop_reaches_one_that_waits_for_a_slower_one() {
    let data = support::data();
    for test in support::stores() {
        let run = create(test.store.clone(), bounded(&data, Algorithm::Downpour));
        let gate = Arc::new(Gate::default());
        thread::scope(|scope| {
            let slow = scope.spawn(|| invoke(&run, &data, 1, None, &Here::at(&gate), 20_000));
            gate.await_arrival();
            let fast = scope.spawn(|| invoke(&run, &data, 0, None, &Here::for_ever(), 20_000));
            while pushes(&run, 0) <= BOUND.into() {
                thread::sleep(Duration::from_millis(1));
            }
            run.stop().unwrap();
            gate.open();
            let stopped = Departure::Finished(StopReason::Requested);
            assert_eq!(slow.join().unwrap().0, stopped, "{}", test.name);
            assert_eq!(fast.join().unwrap().0, stopped, "{}", test.name);
        });
    }
}

/// The first push of worker 1, which sees nothing of the three of worker 0 before.
fn late_push(store: Arc<dyn Store>, data: &Dataset, combine: Combine, staleness_lr: StalenessLr) -> Vec<f32> {
    let config = RunConfig {
        combine,
        staleness_lr,
        n_push: 1,
        n_fetch: 1,
        batch_size: 1001,
        ..support::config_for(data, 2)
    };
    let (run, early, gate) = (create(store, config), Arc::new(Gate::default()), Arc::new(Gate::default()));
    thread::scope(|scope| {
        // A first fetch of a stream that was not there before would only find that it is.
        scope.spawn(|| invoke(&run, data, 0, None, &Here::at(&early), 20_000));
        early.await_arrival();
        scope.spawn(|| invoke(&run, data, 1, None, &Here::at(&gate), 20_000));
        gate.await_arrival();
        early.open();
        // Two minibatches, and the epoch's end.
        while pushes(&run, 0) < 3 {
            thread::sleep(Duration::from_millis(1));
        }
        gate.open();
    });
    // After the fence.
    let cursors: Cursors = [(1, Default::default())].into();
    let read = Exchange { cursors: Some(&cursors), entries_per_stream: 2, ..Exchange::default() };
    let entries = run.store().exchange(run.keys(), &read).unwrap().entries;
    let mut delta = vec![0.0; run.config().architecture.parameter_count()];
    codec::decode_add(&entries[0].1[1].payload, &run.config().architecture.rows(), &mut delta).unwrap();
    delta
}

#[test]
fn a_stale_push_counts_less() {
    let data = support::data();
    // Three pushes by others are three updates where pushes are summed, one and a half where two make a mean.
    for (combine, factor) in [(Combine::Sum, 1.0 / 3.0), (Combine::Mean, 1.0 / 1.5)] {
        let whole = late_push(Arc::new(MemoryStore::new()), &data, combine, StalenessLr::Keep);
        assert!(whole.iter().any(|x| x.abs() > 1e-3));
        for test in support::stores() {
            let divided = late_push(test.store.clone(), &data, combine, StalenessLr::Divide);
            for (divided, whole) in divided.iter().zip(&whole) {
                assert!((divided - factor * whole).abs() < 1e-6, "{combine}: {divided} of {whole}");
            }
        }
    }
}

/// 126 minibatches a worker and epoch; nobody waits for anybody.
fn free(data: &Dataset, algorithm: Algorithm) -> RunConfig {
    RunConfig { max_staleness: None, ..bounded(data, algorithm) }
}

/// Minibatches that a worker has of its own.
const OWN: u64 = 2 * 126;
const END: Position = Position { epoch: 2, minibatch: 0 };

/// Worker 1 begins when worker 0 is at the end of its own minibatches. `dies` is called before each minibatch of
/// the `victim`, who is replaced.
fn late(run: &Run, data: &Dataset, victim: Option<u32>, dies: impl Fn() + Send + Sync + 'static) {
    let gate = Arc::new(Gate::default());
    let (at_gate, dies) = (gate.clone(), Arc::new(dies));
    let dies_too = dies.clone();
    let fast = Here::where_happens(move || {
        if victim == Some(0) {
            dies();
        }
    });
    let slow = Here::where_happens(move || {
        at_gate.pass();
        if victim == Some(1) {
            dies_too();
        }
    });
    thread::scope(|scope| {
        let late = scope.spawn(|| invoke(run, data, 1, None, &slow, 300));
        gate.await_arrival();
        let early = scope.spawn(|| invoke(run, data, 0, None, &fast, 300));
        while progress(run, 0).at < END {
            thread::sleep(Duration::from_millis(1));
        }
        // Who survives misses the other.
        if let Some(victim) = victim {
            recruiter(scope, run, data, if victim == 0 { &slow } else { &fast });
        }
        gate.open();
        assert_eq!(early.join().is_err(), victim == Some(0));
        assert_eq!(late.join().is_err(), victim == Some(1));
    });
}

#[test]
fn whoever_is_done_does_minibatches_of_one_that_is_not() {
    let data = support::data();
    for algorithm in [Algorithm::Downpour, Algorithm::Easgd] {
        for test in support::stores() {
            let run = create(test.store.clone(), free(&data, algorithm));
            late(&run, &data, None, || ());
            let what = format!("{algorithm} on {}", test.name);
            check_counts(&run, &what);
            let (fast, slow) = (progress(&run, 0), progress(&run, 1));
            assert_eq!(fast.minibatches + slow.minibatches, 2 * 251, "{what}: {fast:?} {slow:?}");
            assert!(fast.minibatches > OWN + OWN / 4, "{what}: {fast:?}");
            assert!(fast.at > END && slow.at == END, "{what}: {fast:?} {slow:?}");
            assert!(run.status().unwrap().workers.iter().all(|worker| worker.epochs == 2), "{what}");
            // Nothing was pushed after the model was made of everything.
            let rows = run.config().architecture.rows();
            let log = Folded::load(&**run.store(), run.keys(), &rows).unwrap();
            assert!(run.model().unwrap().unwrap().parameters == log.parameters, "{what}");
        }
    }
}

#[test]
fn nothing_is_lost_when_one_dies_who_gave_away_or_was_given() {
    let data = support::data();
    for victim in [0, 1] {
        for test in support::stores() {
            let run = create(test.store.clone(), free(&data, Algorithm::Downpour));
            let watched = run.clone();
            late(&run, &data, Some(victim), move || {
                assert!(progress(&watched, 0).at <= END, "dies here, as planned");
            });
            let what = format!("{victim} dies on {}", test.name);
            check_counts(&run, &what);
            let (fast, slow) = (progress(&run, 0), progress(&run, 1));
            assert_eq!(fast.minibatches + slow.minibatches, 2 * 251, "{what}: {fast:?} {slow:?}");
            assert_eq!(run.status().unwrap().workers[victim as usize].handovers, 1, "{what}");
        }
    }
}

#[test]
fn a_target_is_seen_though_the_first_worker_has_not_begun() {
    let data = support::data();
    for test in support::stores() {
        let config = RunConfig { target_accuracy: Some(0.4), epochs: 40, ..free(&data, Algorithm::Downpour) };
        let (run, gate) = (create(test.store.clone(), config), Arc::new(Gate::default()));
        let departures = thread::scope(|scope| {
            let stuck = scope.spawn(|| invoke(&run, &data, 0, None, &Here::at(&gate), 20_000));
            gate.await_arrival();
            let fast = scope.spawn(|| invoke(&run, &data, 1, None, &Here::for_ever(), 20_000));
            while run.status().unwrap().control.stop.is_none() {
                thread::sleep(Duration::from_millis(1));
            }
            gate.open();
            [stuck, fast].map(|worker| worker.join().unwrap().0)
        });
        assert_eq!(
            departures,
            [Departure::Finished(StopReason::Target), Departure::Finished(StopReason::Target)]
        );
        assert!(run.model().unwrap().unwrap().evaluation.accuracy() >= 0.4, "{}", test.name);
    }
}
