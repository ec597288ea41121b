//! Training on real data, in this process: what comes out is right, and comes out again.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use sgd_lib::codec::Codec;
use sgd_lib::dataset::{Dataset, EpochOrder};
use sgd_lib::downpour::{
    Combine, Departure, Folded, Identity, Run, RunConfig, StopReason, Worker, WorkerRecord,
};
use sgd_lib::network::{Backprop, DropoutKey, Minibatch, Predictor};
use sgd_lib::optimizer::{LearningRateSchedule, OptimizerKind};
use sgd_lib::state;
use sgd_lib::store::{Claim, EntryKind, Exchange, MemoryStore, Store};
use support::{Here, part};

fn work(run: &Run, data: &Dataset, place: &str, here: &Here) -> Departure {
    let claim = run.claim(place, None, Duration::from_secs(20)).unwrap();
    let Claim::Granted { lease, resumed, .. } = claim else { panic!("no place: {claim:?}") };
    let identity = Identity { node: "node".into(), pod: place.into() };
    Worker::new(run, lease, resumed, &identity, part(data), data.test(), here).unwrap().train().unwrap()
}

fn train(store: Arc<dyn Store>, data: &Dataset, config: RunConfig) -> Run {
    let run = Run::create(store, "run", config).unwrap();
    let workers = run.config().workers;
    run.store().fix_workers(run.keys(), workers).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let run = &run;
            scope.spawn(move || work(run, data, &worker.to_string(), &Here::for_ever()));
        }
    });
    run
}

fn furthest(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

#[test]
fn two_workers_learn_on_both_stores_and_every_sample_is_counted() {
    let data = support::data();
    for test in support::stores() {
        let config = RunConfig { epochs: 3, ..support::config_for(&data, 2) };
        let run = train(test.store.clone(), &data, config);
        let status = run.status().unwrap();
        assert!(status.is_over(), "{}", test.name);
        let result = status.result.unwrap();
        assert_eq!(result.samples, data.test().len());
        assert!(result.accuracy() > 0.6, "{}: {}", test.name, result.accuracy());
        let samples: u64 = status.workers.iter().map(|worker| worker.samples).sum();
        assert_eq!(samples, 3 * 8000, "{}", test.name);
        assert!(status.workers.iter().all(|worker| worker.pushes >= 12), "{}", test.name);
        let model = run.model().unwrap().unwrap();
        let again = Predictor::new(&run.config().architecture).evaluate(&model.parameters, data.test());
        assert_eq!(again.correct, result.correct, "{}", test.name);
        // At rest the log says the same as the model, up to the order of adding: a worker that waits for
        // the others may have written a snapshot meanwhile.
        let folded = Folded::load(&*test.store, run.keys(), &run.config().architecture.rows()).unwrap();
        let furthest = furthest(&folded.parameters, &model.parameters);
        assert!(furthest < 1e-5, "{}: {furthest}", test.name);
    }
}

#[test]
fn one_worker_with_the_same_seed_gives_the_same_bits() {
    let data = support::data();
    for (codec, target) in [(Codec::Int8, None), (Codec::F32, None), (Codec::Int8, Some(0.6))] {
        let parameters = |seed| {
            let config = RunConfig {
                epochs: 4,
                codec,
                target_accuracy: target,
                seed,
                ..support::config_for(&data, 1)
            };
            let run = train(Arc::new(MemoryStore::new()), &data, config);
            let bits =
                run.model().unwrap().unwrap().parameters.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            (run.status().unwrap().control.stop, bits)
        };
        let first = parameters(1);
        assert_eq!(first, parameters(1), "{codec}, target {target:?}");
        assert_ne!(first.1, parameters(2).1, "{codec}, target {target:?}");
        let reason = if target.is_some() { StopReason::Target } else { StopReason::Epochs };
        assert_eq!(first.0.as_deref(), Some(reason.name()));
    }
}

/// The loop without workers, pushes, or a store.
fn plain_sgd(data: &Dataset, config: &RunConfig) -> Vec<f32> {
    let network = &config.architecture;
    let mut parameters = network.initial_parameters(config.seed);
    let mut gradient = vec![0.0; parameters.len()];
    let mut backprop = Backprop::new(network, config.batch_size as usize, config.dropout).centred(part(data));
    let mut optimizer = config.optimizer.build(parameters.len());
    let mut order = EpochOrder::new(part(data).len());
    for epoch in 0..config.epochs {
        order.shuffle(config.seed, epoch);
        for minibatch in 0..order.minibatches(config.batch_size as usize) as u32 {
            let samples = order.minibatch(minibatch as usize, config.batch_size as usize);
            let key = DropoutKey { seed: config.seed, epoch, minibatch };
            backprop.gradient(&parameters, &Minibatch { split: part(data), samples }, key, &mut gradient);
            optimizer.step(config.learning_rate, 0, &gradient, &mut parameters);
        }
    }
    parameters
}

#[test]
fn one_worker_is_plain_sgd() {
    let data = support::data();
    for combine in [Combine::Mean, Combine::Sum] {
        let config = RunConfig {
            schedule: LearningRateSchedule::Constant,
            optimizer: OptimizerKind::Momentum,
            learning_rate: 0.02,
            combine,
            epochs: 1,
            ..support::config_for(&data, 1)
        };
        let wanted = plain_sgd(&data, &config);
        let run = train(Arc::new(MemoryStore::new()), &data, config);
        let found = run.model().unwrap().unwrap().parameters;
        let furthest = furthest(&found, &wanted);
        // Pushing adds up θ − base, which rounds.
        assert!(furthest < 1e-4, "{combine}: {furthest}");
    }
}

#[test]
fn a_worker_that_has_to_leave_loses_nothing() {
    let data = support::data();
    for test in support::stores() {
        let config = RunConfig { epochs: 2, codec: Codec::Int8, ..support::config_for(&data, 1) };
        let run = Run::create(test.store.clone(), "run", config).unwrap();
        run.store().fix_workers(run.keys(), 1).unwrap();
        for (life, patience) in [17, 100, 3].into_iter().enumerate() {
            let here = Here::until(patience);
            assert_eq!(work(&run, &data, &life.to_string(), &here), Departure::HandedOver, "{}", test.name);
        }
        let last = work(&run, &data, "last", &Here::for_ever());
        assert_eq!(last, Departure::Finished(StopReason::Epochs), "{}", test.name);
        let status = run.status().unwrap();
        assert_eq!(status.workers[0].samples, 2 * 8000, "{}: each sample once an epoch", test.name);
        assert_eq!(status.workers[0].minibatches, 2 * 250, "{}", test.name);
        assert_eq!(status.workers[0].handovers, 3, "{}", test.name);
    }
}

#[test]
fn the_log_stays_bounded() {
    let test = support::redis();
    let data = support::data();
    let config = RunConfig {
        epochs: 40,
        n_push: 1,
        n_fetch: 1,
        batch_size: 64,
        codec: Codec::F32,
        ..support::config_for(&data, 2)
    };
    let run = train(test.store.clone(), &data, config);
    let (version, _) = test.store.snapshot_vector(run.keys()).unwrap().unwrap();
    assert!(version > 1, "10,000 pushes of 300 kB, and no snapshot was written");
    let cursors = [(0, Default::default()), (1, Default::default())].into();
    let fetch = sgd_lib::store::Exchange {
        cursors: Some(&cursors),
        entries_per_stream: 1_000_000,
        ..Default::default()
    };
    let left = test.store.exchange(run.keys(), &fetch).unwrap();
    let bytes: usize = left.entries.iter().flat_map(|(_, entries)| entries).map(|e| e.payload.len()).sum();
    let size = 4 * run.config().architecture.parameter_count();
    // The bound, and what was pushed while a snapshot was on its way.
    assert!(bytes < 2 * 32 * size, "{bytes} bytes in the log, {size} a push");
    // What Redis itself takes for it is hardly more.
    let url = test.redis.as_ref().unwrap().url();
    let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
    let mut usage = |key: String| -> usize {
        redis::cmd("MEMORY").arg("USAGE").arg(key).arg("SAMPLES").arg(0).query(&mut redis).unwrap()
    };
    let used: usize = [0, 1].map(|worker| usage(format!("dp:{{run}}:log:{worker}"))).iter().sum();
    assert!(used >= bytes && used < 2 * 32 * size * 5 / 4, "{used} bytes of memory, {bytes} of payloads");
    assert!(usage("dp:{run}:snapshot".to_owned()) < 2 * size);
}

#[test]
fn a_run_that_is_over_takes_no_worker_and_can_be_tidied_and_deleted() {
    let data = support::data();
    for test in support::stores() {
        let run = train(test.store.clone(), &data, support::config_for(&data, 1));
        let claim = run.claim("late", None, Duration::from_secs(1)).unwrap();
        assert!(matches!(claim, Claim::Over { .. }), "{}: {claim:?}", test.name);
        let before = run.parameters().unwrap();
        run.tidy().unwrap();
        assert_eq!(run.parameters().unwrap(), before, "{}", test.name);
        assert_eq!(test.store.runs().unwrap(), ["run"]);
        run.delete().unwrap();
        assert_eq!(test.store.runs().unwrap(), [""; 0], "{}", test.name);
        assert!(Run::open(test.store.clone(), "run").is_err(), "{}", test.name);
    }
}

#[test]
fn data_of_another_shape_are_refused() {
    let data = support::data();
    let config = support::config(1);
    let run = Run::create(Arc::new(MemoryStore::new()), "run", config).unwrap();
    let Claim::Granted { lease, .. } = run.claim("p", None, Duration::from_secs(1)).unwrap() else {
        panic!()
    };
    let identity = Identity { node: "n".into(), pod: "p".into() };
    let here = Here::for_ever();
    let error = Worker::new(&run, lease, false, &identity, data.train(), data.test(), &here).err().unwrap();
    assert_eq!(error.to_string(), "the data have 784 pixels per image; the run wants 4");
}

#[test]
fn training_that_diverges_says_so() {
    let data = support::data();
    let config = RunConfig { learning_rate: 1e30, ..support::config_for(&data, 1) };
    let run = Run::create(Arc::new(MemoryStore::new()), "run", config).unwrap();
    run.store().fix_workers(run.keys(), 1).unwrap();
    let Claim::Granted { lease, .. } = run.claim("p", None, Duration::from_secs(1)).unwrap() else {
        panic!()
    };
    let identity = Identity { node: "n".into(), pod: "p".into() };
    let here = Here::for_ever();
    let worker = Worker::new(&run, lease, false, &identity, part(&data), data.test(), &here).unwrap();
    let error = worker.train().unwrap_err().to_string();
    assert!(error.starts_with("training diverged: ") && error.ends_with("a lower alpha may help"), "{error}");
}

#[test]
fn a_handover_holds_nothing_back() {
    let data = support::data();
    for test in support::stores() {
        // With a push after each minibatch nothing but rounding is left to send.
        let config = RunConfig { n_push: 1, codec: Codec::Int8, ..support::config_for(&data, 1) };
        let run = Run::create(test.store.clone(), "run", config).unwrap();
        run.store().fix_workers(run.keys(), 1).unwrap();
        let here = Here::until(5);
        assert_eq!(work(&run, &data, "first", &here), Departure::HandedOver, "{}", test.name);
        let cursors = [(0, Default::default())].into();
        let fetch = Exchange { cursors: Some(&cursors), entries_per_stream: 99, ..Exchange::default() };
        let log = test.store.exchange(run.keys(), &fetch).unwrap();
        assert_eq!(log.entries[0].1.last().unwrap().kind, EntryKind::Flush, "{}", test.name);
        assert_eq!(
            test.store.held(run.keys(), 0..1).unwrap(),
            [false],
            "{}: the lease is given back",
            test.name
        );
    }
}

#[test]
fn a_worker_beyond_the_number_that_was_fixed_does_not_train() {
    let data = support::data();
    for test in support::stores() {
        let run = Run::create(test.store.clone(), "run", support::config_for(&data, 4)).unwrap();
        // Three of four have their places; the answer of one did not reach setup.
        let departures = std::thread::scope(|scope| {
            let workers: Vec<_> = ["0", "1", "2"]
                .into_iter()
                .map(|place| {
                    let (run, data) = (&run, &data);
                    scope.spawn(move || work(run, data, place, &Here::for_ever()))
                })
                .collect();
            while test.store.streams(run.keys()).unwrap() < 3 {
                std::thread::sleep(Duration::from_millis(1));
            }
            run.store().fix_workers(run.keys(), 2).unwrap();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
        });
        let folded = Folded::load(&*test.store, run.keys(), &run.config().architecture.rows()).unwrap();
        let samples: u64 = folded.vector.values().map(|mark| mark.progress.samples).sum();
        assert_eq!(samples, 8000, "{}: each sample once", test.name);
        let finished = Departure::Finished(StopReason::Epochs);
        assert_eq!(departures.iter().filter(|departure| **departure == finished).count(), 2, "{}", test.name);
        assert_eq!(test.store.held(run.keys(), 0..3).unwrap(), [false; 3], "{}", test.name);
    }
}

#[test]
fn workers_that_are_all_there_begin_without_a_word_from_setup() {
    let data = support::data();
    for test in support::stores() {
        let run = Run::create(test.store.clone(), "run", support::config_for(&data, 2)).unwrap();
        std::thread::scope(|scope| {
            for place in ["0", "1"] {
                let (run, data) = (&run, &data);
                scope.spawn(move || work(run, data, place, &Here::for_ever()));
            }
        });
        let status = run.status().unwrap();
        assert_eq!((status.control.workers, status.workers.len()), (Some(2), 2), "{}", test.name);
        assert!(status.is_over(), "{}", test.name);
        // Whoever comes now finds no place.
        assert!(matches!(run.claim("2", None, Duration::from_secs(1)).unwrap(), Claim::Over { .. }));
    }
}

#[test]
fn a_stopped_run_gets_its_model_though_the_one_who_was_at_it_died() {
    let data = support::data();
    for test in support::stores() {
        let run = Run::create(test.store.clone(), "run", support::config_for(&data, 1)).unwrap();
        run.store().fix_workers(run.keys(), 1).unwrap();
        assert!(test.store.lock(run.keys(), "finish", "the dead", Duration::from_millis(1500)).unwrap());
        let left = std::thread::scope(|scope| {
            let worker = scope.spawn(|| work(&run, &data, "0", &Here::for_ever()));
            while test.store.streams(run.keys()).unwrap() == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            run.stop().unwrap();
            worker.join().unwrap()
        });
        assert_eq!(left, Departure::Finished(StopReason::Requested), "{}", test.name);
        assert!(run.status().unwrap().is_over(), "{}: no model", test.name);
    }
}

#[test]
fn a_record_written_by_a_predecessor_meanwhile_does_not_stand() {
    let data = support::data();
    for test in support::stores() {
        let run = Run::create(test.store.clone(), "run", support::config_for(&data, 1)).unwrap();
        run.store().fix_workers(run.keys(), 1).unwrap();
        let Claim::Granted { lease, resumed, .. } = run.claim("p", None, Duration::from_secs(20)).unwrap()
        else {
            panic!()
        };
        let identity = Identity { node: "n".into(), pod: "p".into() };
        let here = Here::for_ever();
        let worker = Worker::new(&run, lease, resumed, &identity, part(&data), data.test(), &here).unwrap();
        let stale = WorkerRecord { samples: 1, ..WorkerRecord::default() };
        state::put(&*test.store, &run.keys().worker(0), &stale, 0, None).unwrap();
        worker.train().unwrap();
        assert_eq!(run.status().unwrap().workers[0].samples, 8000, "{}", test.name);
    }
}

#[test]
fn workers_that_do_not_live_long_bound_the_log_too() {
    let data = support::data();
    let test = support::redis();
    let config = RunConfig { n_push: 1, codec: Codec::F32, ..support::config_for(&data, 1) };
    let run = Run::create(test.store.clone(), "run", config).unwrap();
    run.store().fix_workers(run.keys(), 1).unwrap();
    for life in 0..6 {
        let here = Here::until(15);
        assert_eq!(work(&run, &data, &life.to_string(), &here), Departure::HandedOver);
    }
    let (version, _) = test.store.snapshot_vector(run.keys()).unwrap().unwrap();
    assert!(version > 1, "90 pushes of the parameters' size, and no snapshot was written");
}
