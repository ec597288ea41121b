//! Workers that average their parameters in rounds, and workers of which each invocation does one epoch.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Scope};
use std::time::Duration;

use sgd_lib::codec::Codec;
use sgd_lib::dataset::{Dataset, EpochOrder, Split};
use sgd_lib::downpour::{
    Algorithm, Carried, Departure, Identity, Run, RunConfig, StopReason, Surroundings, Worker,
};
use sgd_lib::network::{Backprop, Centring, DropoutKey, Minibatch};
use sgd_lib::optimizer::OptimizerKind;
use sgd_lib::state::StateError;
use sgd_lib::store::{Claim, MemoryStore, Store};

/// Of a size that divides evenly among nobody.
const SAMPLES: usize = 2003;

fn part(data: &Dataset) -> Split<'_> {
    data.train().first(SAMPLES)
}

/// A place that keeps what workers leave, and in which one dies when it has been asked `dies_after` times
/// whether to leave.
struct Here {
    dies_after: AtomicU64,
    wanted: Mutex<Vec<u32>>,
    left: Mutex<Option<Carried>>,
}

impl Here {
    fn for_ever() -> Self {
        Self::until(u64::MAX)
    }

    fn until(dies_after: u64) -> Self {
        Self { dies_after: AtomicU64::new(dies_after), wanted: Mutex::default(), left: Mutex::default() }
    }
}

impl Surroundings for Here {
    fn must_leave(&self) -> bool {
        assert_ne!(self.dies_after.fetch_sub(1, Ordering::Relaxed), 0, "dies here, as planned");
        false
    }

    fn recruit(&self, worker: u32) {
        self.wanted.lock().unwrap().push(worker);
    }

    fn pick_up(&self, _worker: u32) -> Result<Option<Carried>, StateError> {
        Ok(self.left.lock().unwrap().clone())
    }

    fn leave(&self, _worker: u32, carried: Carried) -> Result<(), StateError> {
        *self.left.lock().unwrap() = Some(carried);
        Ok(())
    }
}

fn config(data: &Dataset, workers: u32) -> RunConfig {
    RunConfig { algorithm: Algorithm::Average, epochs: 2, n_push: 4, ..support::config_for(data, workers) }
}

fn create(store: Arc<dyn Store>, config: RunConfig) -> Run {
    let run = Run::create(store, "run", config).unwrap();
    run.store().fix_workers(run.keys(), run.config().workers).unwrap();
    run
}

/// One invocation.
fn invoke(
    run: &Run,
    data: &Dataset,
    worker: u32,
    from: Option<u64>,
    here: &Here,
    ttl: u64,
) -> (Departure, u64) {
    let place = format!("{worker}-{from:?}-{:?}", thread::current().id());
    let claim = run.claim_from(&place, Some(worker), from, Duration::from_millis(ttl)).unwrap();
    let Claim::Granted { lease, resumed, .. } = claim else { panic!("no place: {claim:?}") };
    let (identity, token) = (Identity { node: "node".into(), pod: place }, lease.token);
    let worker = Worker::new(run, lease, resumed, &identity, part(data), data.test(), here).unwrap();
    (worker.train().unwrap(), token)
}

/// A worker, as many invocations as it takes.
fn work(run: &Run, data: &Dataset, worker: u32) -> Departure {
    let (here, mut from) = (Here::for_ever(), None);
    loop {
        let (departure, token) = invoke(run, data, worker, from, &here, 20_000);
        match departure {
            Departure::EpochEnded { .. } => from = Some(token),
            departure => return departure,
        }
    }
}

fn train(store: Arc<dyn Store>, data: &Dataset, config: RunConfig) -> Run {
    let run = create(store, config);
    thread::scope(|scope| {
        for worker in 0..run.config().workers {
            let run = &run;
            scope.spawn(move || work(run, data, worker));
        }
    });
    run
}

fn parameters(run: &Run) -> Vec<f32> {
    run.model().unwrap().expect("a model").parameters
}

fn bits(run: &Run) -> Vec<u32> {
    parameters(run).into_iter().map(f32::to_bits).collect()
}

fn furthest(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f32::max)
}

fn check_counts(run: &Run, what: &str) {
    let status = run.status().unwrap();
    assert!(status.is_over(), "{what}: {status:?}");
    let samples: u64 = status.workers.iter().map(|worker| worker.samples).sum();
    assert_eq!(samples, u64::from(run.config().epochs) * SAMPLES as u64, "{what}: each sample once an epoch");
}

/// Rounds one worker after the other, without a store: each from the same parameters, then the mean.
fn averaged(data: &Dataset, config: &RunConfig) -> Vec<f32> {
    let network = &config.architecture;
    let mut base = network.initial_parameters(config.seed);
    let mut gradient = vec![0.0; base.len()];
    let mut backprop = Backprop::new(network, config.batch_size as usize, config.dropout);
    let mut centring = Centring::new(network, part(data));
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
                    support::centre(network, &mut centring, &mut gradient);
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

/// Starts a successor for whomever somebody misses, until `left` of them have been started.
fn recruiter<'scope>(
    scope: &'scope Scope<'scope, '_>,
    run: &'scope Run,
    data: &'scope Dataset,
    here: &'scope Here,
) {
    scope.spawn(move || {
        loop {
            if let Some(worker) = here.wanted.lock().unwrap().pop() {
                return drop(scope.spawn(move || work(run, data, worker)));
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
}

#[test]
fn the_round_of_a_worker_that_dies_in_it_is_done_by_its_successor() {
    let data = support::data();
    let config = RunConfig { codec: Codec::F32, ..config(&data, 2) };
    let undisturbed = parameters(&train(Arc::new(MemoryStore::new()), &data, config.clone()));
    for test in support::stores() {
        let run = create(test.store.clone(), config.clone());
        let (mourner, victim) = (Here::for_ever(), Here::until(10));
        thread::scope(|scope| {
            recruiter(scope, &run, &data, &mourner);
            scope.spawn(|| invoke(&run, &data, 0, None, &mourner, 20_000));
            let victim = scope.spawn(|| invoke(&run, &data, 1, None, &victim, 300));
            assert!(victim.join().is_err(), "{}: it dies", test.name);
        });
        check_counts(&run, test.name);
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
    for algorithm in [Algorithm::Downpour, Algorithm::Average] {
        for test in support::stores() {
            let config = RunConfig { algorithm, train_type: 2, epochs: 4, ..config(&data, 3) };
            let run = train(test.store.clone(), &data, config);
            let what = format!("{algorithm}, {}", test.name);
            check_counts(&run, &what);
            let status = run.status().unwrap();
            assert_eq!(status.control.stop.as_deref(), Some("epochs"), "{what}");
            assert!(
                status.workers.iter().all(|w| (w.invocations, w.handovers) == (4, 0)),
                "{what}: {status:?}"
            );
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
