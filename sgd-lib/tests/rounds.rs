//! Workers that average their parameters in rounds, and workers of which each invocation does one epoch.

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

use sgd_lib::codec::Codec;
use sgd_lib::dataset::{Dataset, EpochOrder};
use sgd_lib::downpour::{Algorithm, Departure, RunConfig, StopReason};
use sgd_lib::network::{Backprop, DropoutKey, Minibatch};
use sgd_lib::optimizer::OptimizerKind;
use sgd_lib::store::{Claim, MemoryStore};
use support::crew::{
    Here, SAMPLES, bits, check_counts, create, furthest, invoke, lose_the_second, parameters, part, train,
    work,
};

fn config(data: &Dataset, workers: u32) -> RunConfig {
    RunConfig { algorithm: Algorithm::Average, epochs: 2, n_push: 4, ..support::config_for(data, workers) }
}

/// Rounds one worker after the other, without a store: each from the same parameters, then the mean.
fn averaged(data: &Dataset, config: &RunConfig) -> Vec<f32> {
    let network = &config.architecture;
    let mut base = network.initial_parameters(config.seed);
    let mut gradient = vec![0.0; base.len()];
    let mut backprop = Backprop::new(network, config.batch_size as usize, config.dropout).centred(part(data));
    let mut optimizers: Vec<_> = (0..config.workers).map(|_| config.optimizer.build(base.len())).collect();
    let mut order = EpochOrder::new(SAMPLES);
    let round = (config.n_push * config.workers) as usize;
    for epoch in 0..config.epochs {
        order.shuffle(config.seed, epoch);
        let total = order.minibatches(config.batch_size as usize);
        for start in (0..total).step_by(round) {
            let (mut mean, mut all) = (vec![0.0_f64; base.len()], 0.0);
            for (worker, optimizer) in optimizers.iter_mut().enumerate() {
                let (mut theta, mut count) = (base.clone(), 0);
                let end = total.min(start + round);
                for index in (start + worker..end).step_by(config.workers as usize) {
                    let samples = order.minibatch(index, config.batch_size as usize);
                    let key = DropoutKey { seed: config.seed, epoch, minibatch: index as u32 };
                    backprop.gradient(&theta, &Minibatch { split: part(data), samples }, key, &mut gradient);
                    optimizer.step(config.learning_rate, 0, &gradient, &mut theta);
                    count += samples.len();
                }
                mean.iter_mut()
                    .zip(&theta)
                    .for_each(|(mean, theta)| *mean += count as f64 * f64::from(*theta));
                all += count as f64;
            }
            base = mean.into_iter().map(|sum| (sum / all) as f32).collect();
        }
    }
    base
}

/// 63 minibatches for three workers; 7 for six, so that the second round is one worker's; 3 for six, so
/// that three have none.
#[test]
fn a_round_is_the_mean_weighted_by_samples_however_unequal_the_parts_are() {
    let data = support::data();
    for (workers, batch_size, n_push) in [(3, 32, 4), (6, 300, 1), (6, 900, 4), (1, 32, 10)] {
        let config = RunConfig {
            batch_size,
            n_push,
            optimizer: OptimizerKind::Momentum,
            learning_rate: 0.02,
            ..config(&data, workers)
        };
        let wanted = averaged(&data, &config);
        for test in support::stores() {
            let run = train(test.store.clone(), &data, config.clone());
            let furthest = furthest(&parameters(&run), &wanted);
            let what = format!("{} workers on {}, batch {batch_size}", workers, test.name);
            assert!(furthest < 1e-4, "{what}: {furthest}");
            check_counts(&run, &what);
            assert!(run.status().unwrap().workers.iter().all(|worker| worker.staleness_max == 0), "{what}");
        }
    }
}

#[test]
fn workers_with_the_same_seed_give_the_same_bits_run_after_run() {
    let data = support::data();
    let config = RunConfig { codec: Codec::Int8, ..config(&data, 3) };
    let first = train(Arc::new(MemoryStore::new()), &data, config.clone());
    for test in support::stores() {
        let again = train(test.store.clone(), &data, config.clone());
        assert_eq!(bits(&again), bits(&first), "{}", test.name);
    }
    let other = train(Arc::new(MemoryStore::new()), &data, RunConfig { seed: 2, ..config });
    assert_ne!(bits(&other), bits(&first));
}

#[test]
fn the_round_of_a_worker_that_dies_in_it_is_done_by_its_successor() {
    let data = support::data();
    let config = RunConfig { codec: Codec::F32, ..config(&data, 2) };
    let undisturbed = parameters(&train(Arc::new(MemoryStore::new()), &data, config.clone()));
    for test in support::stores() {
        let run = create(test.store.clone(), config.clone());
        lose_the_second(&run, &data, test.name);
        let furthest = furthest(&parameters(&run), &undisturbed);
        assert!(furthest < 1e-5, "{}: from where the round began, it is the same: {furthest}", test.name);
        assert_eq!(run.status().unwrap().workers[1].handovers, 1, "{}", test.name);
    }
}

#[test]
fn a_stop_reaches_workers_that_wait_for_one_who_does_not_come() {
    let data = support::data();
    for test in support::stores() {
        let run = create(test.store.clone(), config(&data, 2));
        // It holds its lease, and does nothing.
        let claim = run.claim("idle", Some(1), Duration::from_secs(60)).unwrap();
        let Claim::Granted { lease, .. } = claim else { panic!("{claim:?}") };
        let departure = thread::scope(|scope| {
            let worker = scope.spawn(|| work(&run, &data, 0));
            while run.status().unwrap().workers.first().is_none_or(|worker| worker.ended_ms == 0)
                && run.parameters().unwrap() == run.config().architecture.initial_parameters(1)
            {
                thread::sleep(Duration::from_millis(2));
            }
            run.stop().unwrap();
            test.store.release(run.keys(), &lease).unwrap();
            worker.join().unwrap()
        });
        assert_eq!(departure, Departure::Finished(StopReason::Requested), "{}", test.name);
        assert!(run.model().unwrap().is_some(), "{}", test.name);
    }
}

/// What one invocation leaves to the next is everything that it knew.
#[test]
fn an_epoch_an_invocation_gives_the_bits_of_one_that_runs_to_the_end() {
    let data = support::data();
    let cases = [
        (Algorithm::Downpour, OptimizerKind::Sgd, None),
        (Algorithm::Downpour, OptimizerKind::Momentum, None),
        (Algorithm::Downpour, OptimizerKind::Adagrad, Some(0.4)),
        (Algorithm::Average, OptimizerKind::Momentum, Some(0.4)),
        (Algorithm::Easgd, OptimizerKind::Momentum, None),
        (Algorithm::Diloco, OptimizerKind::Momentum, None),
    ];
    for (algorithm, optimizer, target_accuracy) in cases {
        for test in support::stores() {
            let what = format!("{algorithm}, {optimizer}, target {target_accuracy:?}, {}", test.name);
            let to_the_end = RunConfig {
                algorithm,
                optimizer,
                target_accuracy,
                learning_rate: 0.05,
                epochs: 9,
                codec: Codec::Int8,
                ..config(&data, 1)
            };
            let wanted = train(Arc::new(MemoryStore::new()), &data, to_the_end.clone());
            let run = train(test.store.clone(), &data, RunConfig { train_type: 2, ..to_the_end });
            assert_eq!(bits(&run), bits(&wanted), "{what}");
            let (found, wanted) = (run.status().unwrap(), wanted.status().unwrap());
            assert_eq!(found.control.stop, wanted.control.stop, "{what}");
            let (found, wanted) = (&found.workers[0], &wanted.workers[0]);
            assert_eq!((found.samples, found.epochs), (wanted.samples, wanted.epochs), "{what}");
            assert_eq!(found.handovers, 0, "{what}");
            // The last epoch may have been cut short by the target.
            assert!(found.invocations >= found.epochs && found.invocations <= found.epochs + 1, "{what}");
        }
    }
}

#[test]
fn an_epoch_an_invocation_works_with_many_workers() {
    let data = support::data();
    for algorithm in Algorithm::ALL {
        for test in support::stores() {
            let config = RunConfig { algorithm, train_type: 2, epochs: 4, ..config(&data, 3) };
            let run = train(test.store.clone(), &data, config);
            let what = format!("{algorithm}, {}", test.name);
            check_counts(&run, &what);
            let status = run.status().unwrap();
            assert_eq!(status.control.stop.as_deref(), Some("epochs"), "{what}");
            assert!(status.workers.iter().all(|w| w.epochs == 4 && w.handovers == 0), "{what}: {status:?}");
        }
    }
}

#[test]
fn a_run_that_is_stopped_between_two_epochs_has_a_model() {
    let data = support::data();
    let config = RunConfig { train_type: 2, ..config(&data, 1) };
    let run = create(Arc::new(MemoryStore::new()), config);
    let here = Here::for_ever();
    let (departure, token) = invoke(&run, &data, 0, None, &here, 20_000);
    assert_eq!(departure, Departure::EpochEnded { next: 1 });
    run.stop().unwrap();
    let (departure, _) = invoke(&run, &data, 0, Some(token), &here, 20_000);
    assert_eq!(departure, Departure::Finished(StopReason::Requested));
    assert!(run.model().unwrap().is_some() && run.status().unwrap().is_over());
}
