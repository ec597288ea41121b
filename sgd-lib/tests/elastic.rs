//! Workers that come and go while a run goes on: each minibatch counts once, whoever is there.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use sgd_lib::codec::{Codec, blob};
use sgd_lib::dataset::Split;
use sgd_lib::downpour::{
    Algorithm, Combine, Compute, Computed, Departure, Identity, Run, RunConfig, StopReason, Surroundings,
    Worker,
};
use sgd_lib::optimizer::OptimizerKind;
use sgd_lib::store::{Claim, Snapshot, Store, Vector};
use support::crew::{self, SAMPLES, bits, check_counts, create};
use support::{config, config_for, data, stores};

const EPOCHS: u32 = 3;
const IMAGES: u32 = 400;
const LIMIT: Duration = Duration::from_secs(60);

/// What happens to the workers of a run.
struct Stage {
    run: Run,
    /// Workers for whom there is room.
    room: AtomicU32,
    /// Those who were asked for.
    invited: Mutex<BTreeSet<u32>>,
    /// Those who are told to leave, and those who die.
    leaving: Mutex<BTreeSet<u32>>,
    dying: Mutex<BTreeSet<u32>>,
    /// Before this is set the last epoch takes minutes, so that no run ends before everything has happened.
    may_end: AtomicBool,
    /// How workers left.
    left: Mutex<Vec<(u32, Departure)>>,
}

/// One worker's place on it.
struct Place<'a>(&'a Stage, u32);

impl Surroundings for Place<'_> {
    fn must_leave(&self) -> bool {
        assert!(!self.0.dying.lock().unwrap().contains(&self.1), "dies here, as planned");
        self.0.leaving.lock().unwrap().contains(&self.1)
    }

    fn recruit(&self, worker: u32) {
        self.0.invited.lock().unwrap().insert(worker);
    }

    fn room(&self) -> Option<u32> {
        Some(self.0.room.load(Ordering::Relaxed))
    }
}

/// What one minibatch changes: whole numbers, so that their sum is exact in any order.
fn change(epoch: u32, index: u32, parameter: usize) -> f32 {
    ((epoch * 31 + index * 7 + parameter as u32) % 17) as f32 - 8.0
}

/// Adds whole numbers, where a network would be trained.
struct Integers<'a> {
    stage: &'a Stage,
    worker: u32,
    epoch: u32,
}

impl Integers<'_> {
    fn is_told_to_end(&self) -> bool {
        let among = |those: &Mutex<BTreeSet<u32>>| those.lock().unwrap().contains(&self.worker);
        among(&self.stage.leaving) || among(&self.stage.dying)
    }
}

impl Compute for Integers<'_> {
    fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    fn minibatch(&mut self, index: u32, _rate: f32, parameters: &mut [f32]) -> Computed {
        let (begun, may_end) = (Instant::now(), || self.stage.may_end.load(Ordering::Relaxed));
        let waits = || self.epoch + 1 == EPOCHS && !may_end() && !self.is_told_to_end();
        while waits() && begun.elapsed() < Duration::from_millis(300) {
            thread::sleep(Duration::from_millis(1));
        }
        for (parameter, value) in parameters.iter_mut().enumerate() {
            *value += change(self.epoch, index, parameter);
        }
        thread::sleep(Duration::from_micros(500));
        Computed { samples: 1, loss: 0.0 }
    }
}

fn whole_numbers(algorithm: Algorithm) -> RunConfig {
    RunConfig {
        workers: 0,
        epochs: EPOCHS,
        batch_size: 1,
        n_push: 3,
        n_fetch: 2,
        algorithm,
        combine: Combine::Sum,
        codec: Codec::F32,
        optimizer: OptimizerKind::Adagrad,
        ..config(0)
    }
}

impl Stage {
    fn new(store: Arc<dyn Store>, config: RunConfig) -> Self {
        let run = create(store, config);
        let zeros = blob::pack(&vec![0.0; run.config().architecture.parameter_count()]);
        let first = Snapshot { version: 2, vector: Vector::new(), parameters: zeros };
        assert!(run.store().write_snapshot(run.keys(), &first, Instant::now()).unwrap());
        Self {
            run,
            room: AtomicU32::new(1),
            invited: Mutex::default(),
            leaving: Mutex::default(),
            dying: Mutex::default(),
            may_end: AtomicBool::new(false),
            left: Mutex::default(),
        }
    }

    /// A worker of this number, if its lease is free.
    fn enter(&self, worker: u32, ttl: Duration) {
        let place = format!("{:x}", rand::random::<u64>());
        let claim = self.run.claim(&place, Some(worker), ttl).unwrap();
        let Claim::Granted { lease, resumed, .. } = claim else { return };
        let pixels = vec![0; 4 * IMAGES as usize];
        let labels = vec![0; IMAGES as usize];
        let data = Split { images: &pixels, labels: &labels, pixels: 4 };
        let (identity, here) = (Identity { node: "node".into(), pod: place }, Place(self, worker));
        let entered = Worker::new(&self.run, lease, resumed, &identity, data, data.first(1), &here).unwrap();
        let integers = Integers { stage: self, worker, epoch: 0 };
        let departure = entered.computing(Box::new(integers)).train().unwrap();
        self.left.lock().unwrap().push((worker, departure));
    }

    /// Lets whoever is asked for come, until `done`.
    fn until<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        what: &str,
        done: impl Fn(&Self) -> bool,
    ) {
        let begun = Instant::now();
        while !done(self) {
            if begun.elapsed() > LIMIT {
                self.may_end.store(true, Ordering::Relaxed);
                panic!("not within {LIMIT:?}: {what}; {:?}", self.run.status());
            }
            for worker in std::mem::take(&mut *self.invited.lock().unwrap()) {
                scope.spawn(move || self.enter(worker, Duration::from_secs(20)));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Workers that take part.
    fn workers(&self) -> u32 {
        self.run.status().unwrap().changes.last().map_or(0, |change| change.workers)
    }

    fn has_trained(&self, worker: u32) -> bool {
        let status = self.run.status().unwrap();
        status.workers.iter().any(|record| record.worker == worker && record.started_ms > 0)
    }

    fn tell_to_leave(&self, workers: impl IntoIterator<Item = u32>) {
        self.leaving.lock().unwrap().extend(workers);
    }

    /// Over, every minibatch in the model once, and how each worker left.
    fn check(self) -> Vec<(u32, Departure)> {
        let status = self.run.status().unwrap();
        assert!(status.is_over(), "{status:?}");
        let samples: u64 = status.workers.iter().map(|worker| worker.samples).sum();
        assert_eq!(samples, u64::from(EPOCHS * IMAGES), "{status:?}");
        let model = self.run.model().unwrap().unwrap().parameters;
        for (parameter, found) in model.into_iter().enumerate() {
            let all = (0..EPOCHS).flat_map(|epoch| (0..IMAGES).map(move |index| (epoch, index)));
            let wanted: f32 = all.map(|(epoch, index)| change(epoch, index, parameter)).sum();
            assert_eq!(found, wanted, "parameter {parameter}");
        }
        let mut left = self.left.into_inner().unwrap();
        left.sort_by_key(|(worker, _)| *worker);
        left
    }
}

const FINISHED: Departure = Departure::Finished(StopReason::Epochs);

#[test]
fn one_worker_then_six_then_two() {
    for test in stores() {
        let stage = Stage::new(test.store, whole_numbers(Algorithm::Downpour));
        thread::scope(|scope| {
            let stage = &stage;
            scope.spawn(move || stage.enter(0, Duration::from_secs(20)));
            stage.until(scope, "one trains", |stage| stage.has_trained(0));
            stage.room.store(6, Ordering::Relaxed);
            stage.until(scope, "six take part", |stage| stage.workers() == 6);
            // Whoever is told to: also the first, who asked for the others.
            stage.room.store(2, Ordering::Relaxed);
            stage.tell_to_leave([0, 1, 3, 4]);
            stage.until(scope, "two are left", |stage| stage.workers() == 2);
            stage.may_end.store(true, Ordering::Relaxed);
        });
        let changes = stage.run.status().unwrap().changes;
        let counts: Vec<_> = changes.iter().map(|change| change.workers).collect();
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 5, 4, 3, 2], "{}", test.name);
        let surplus = |worker| (worker, Departure::Surplus);
        let left = stage.check();
        assert_eq!(left, [surplus(0), surplus(1), (2, FINISHED), surplus(3), surplus(4), (5, FINISHED)]);
    }
}

#[test]
fn what_a_dead_worker_has_left_is_done_by_the_others() {
    for test in stores() {
        let stage = Stage::new(test.store, whole_numbers(Algorithm::Downpour));
        thread::scope(|scope| {
            let stage = &stage;
            scope.spawn(move || stage.enter(0, Duration::from_secs(20)));
            let mortal = scope.spawn(move || stage.enter(1, Duration::from_millis(400)));
            stage.until(scope, "both take part", |stage| stage.workers() == 2);
            stage.dying.lock().unwrap().insert(1);
            assert!(mortal.join().is_err(), "it dies");
            stage.until(scope, "one is left", |stage| stage.workers() == 1);
            // There is room for it again.
            stage.dying.lock().unwrap().clear();
            stage.room.store(2, Ordering::Relaxed);
            stage.until(scope, "it is back", |stage| stage.workers() == 2);
            stage.may_end.store(true, Ordering::Relaxed);
        });
        assert_eq!(stage.check(), [(0, FINISHED), (1, FINISHED)], "{}", test.name);
    }
}

#[test]
fn the_last_one_that_leaves_hands_over() {
    for test in stores() {
        let stage = Stage::new(test.store, whole_numbers(Algorithm::Downpour));
        thread::scope(|scope| {
            let stage = &stage;
            let alone = scope.spawn(move || stage.enter(0, Duration::from_secs(20)));
            stage.until(scope, "one trains", |stage| stage.has_trained(0));
            stage.tell_to_leave([0]);
            alone.join().unwrap();
            assert_eq!(*stage.left.lock().unwrap(), [(0, Departure::HandedOver)]);
            stage.leaving.lock().unwrap().clear();
            stage.may_end.store(true, Ordering::Relaxed);
            // Under another number: what is left is nobody's.
            stage.enter(3, Duration::from_secs(20));
        });
        assert_eq!(stage.check(), [(0, Departure::HandedOver), (3, FINISHED)], "{}", test.name);
    }
}

/// Whoever comes to a run that all have left finds what those had that died.
#[test]
fn who_comes_to_a_deserted_run_does_what_the_dead_have_left() {
    for test in stores() {
        let stage = Stage::new(test.store, whole_numbers(Algorithm::Downpour));
        thread::scope(|scope| {
            let stage = &stage;
            let ttl = Duration::from_millis(300);
            let mortals = [0, 1].map(|worker| scope.spawn(move || stage.enter(worker, ttl)));
            stage.until(scope, "both take part", |stage| stage.workers() == 2);
            stage.dying.lock().unwrap().extend([0, 1]);
            for mortal in mortals {
                assert!(mortal.join().is_err(), "it dies");
            }
            stage.dying.lock().unwrap().clear();
            stage.may_end.store(true, Ordering::Relaxed);
            // Until its lease is free.
            while stage.left.lock().unwrap().is_empty() {
                stage.enter(0, Duration::from_secs(20));
            }
        });
        let left = stage.check();
        assert!(left.contains(&(0, FINISHED)), "{}: {left:?}", test.name);
    }
}

/// Workers with parameters of their own, trained for real.
#[test]
fn other_asynchronous_algorithms_come_and_go_too() {
    let data = data();
    for algorithm in [Algorithm::Downpour, Algorithm::Easgd] {
        for test in stores() {
            let config = RunConfig { algorithm, epochs: 4, codec: Codec::Int8, ..config_for(&data, 0) };
            let run = create(test.store, config);
            thread::scope(|scope| {
                for worker in 0..3 {
                    let (run, data) = (&run, &data);
                    scope.spawn(move || crew::work(run, data, worker));
                }
            });
            check_counts(&run, &format!("{algorithm} on {}", test.name));
        }
    }
}

#[test]
fn one_worker_of_a_run_that_follows_its_room_is_one_worker() {
    let data = data();
    for codec in [Codec::F32, Codec::Int8] {
        let parameters = |workers| {
            let config = RunConfig { codec, epochs: 3, ..config_for(&data, workers) };
            let run = create(stores().into_iter().next().unwrap().store, config);
            assert_eq!(crew::work(&run, &data, 0), FINISHED);
            let status = run.status().unwrap();
            assert_eq!((status.workers[0].epochs, status.workers[0].samples), (3, 3 * SAMPLES as u64));
            bits(&run)
        };
        assert_eq!(parameters(1), parameters(0), "{codec}: to the bit");
    }
}
