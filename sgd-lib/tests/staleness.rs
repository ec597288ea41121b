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
use sgd_lib::store::{Cursors, Exchange, MemoryStore, Store};
use support::crew::{Gate, Here, check_counts, create, invoke, recruiter};

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

fn pushes(run: &Run, worker: u32) -> u64 {
    let rows = run.config().architecture.rows();
    let folded = Folded::load(&**run.store(), run.keys(), &rows).unwrap();
    folded.vector.get(&worker).map_or(0, |mark| mark.progress.pushes)
}

#[test]
fn nobody_is_further_ahead_of_the_slowest_than_the_bound() {
    let data = support::data();
    for algorithm in [Algorithm::Downpour, Algorithm::Easgd] {
        for test in support::stores() {
            let what = format!("{algorithm} on {}", test.name);
            let run = create(test.store.clone(), bounded(&data, algorithm));
            let gate = Gate::default();
            thread::scope(|scope| {
                scope.spawn(|| invoke(&run, &data, 1, None, &gate, 20_000));
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
        let (mourner, victim) = (Here::for_ever(), Here::until(10));
        thread::scope(|scope| {
            recruiter(scope, &run, &data, &mourner);
            scope.spawn(|| invoke(&run, &data, 0, None, &mourner, 20_000));
            let victim = scope.spawn(|| invoke(&run, &data, 1, None, &victim, 300));
            assert!(victim.join().is_err(), "{}: it dies", test.name);
        });
        check_counts(&run, test.name);
        assert_eq!(run.status().unwrap().workers[1].handovers, 1, "{}", test.name);
    }
}

#[test]
fn a_stop_reaches_one_that_waits_for_a_slower_one() {
    let data = support::data();
    for test in support::stores() {
        let run = create(test.store.clone(), bounded(&data, Algorithm::Downpour));
        let gate = Gate::default();
        thread::scope(|scope| {
            let slow = scope.spawn(|| invoke(&run, &data, 1, None, &gate, 20_000));
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
    let (run, gate) = (create(store, config), Gate::default());
    thread::scope(|scope| {
        scope.spawn(|| invoke(&run, data, 1, None, &gate, 20_000));
        gate.await_arrival();
        scope.spawn(|| invoke(&run, data, 0, None, &Here::for_ever(), 20_000));
        // Two minibatches, and the epoch's end.
        while pushes(&run, 0) < 3 {
            thread::sleep(Duration::from_millis(1));
        }
        gate.open();
    });
    let cursors: Cursors = [(1, Default::default())].into();
    let read = Exchange { cursors: Some(&cursors), entries_per_stream: 1, ..Exchange::default() };
    let entries = run.store().exchange(run.keys(), &read).unwrap().entries;
    let mut delta = vec![0.0; run.config().architecture.parameter_count()];
    codec::decode_add(&entries[0].1[0].payload, &run.config().architecture.rows(), &mut delta).unwrap();
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
