//! `easgd` and `diloco` give what a plain loop without a store gives.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

mod support;

use std::sync::Arc;

use sgd_lib::codec::Codec;
use sgd_lib::dataset::{Dataset, EpochOrder};
use sgd_lib::downpour::{Algorithm, RunConfig};
use sgd_lib::network::{Backprop, DropoutKey, Minibatch};
use sgd_lib::optimizer::{Optimizer, OptimizerKind};
use sgd_lib::store::MemoryStore;
use support::crew::{SAMPLES, bits, check_counts, furthest, parameters, part, train};

fn config(data: &Dataset, algorithm: Algorithm, workers: u32) -> RunConfig {
    RunConfig {
        algorithm,
        epochs: 3,
        n_push: 4,
        optimizer: OptimizerKind::Momentum,
        learning_rate: 0.02,
        ..support::config_for(data, workers)
    }
}

/// One minibatch after the other, on whatever parameters.
struct Loop<'a> {
    data: &'a Dataset,
    config: &'a RunConfig,
    backprop: Backprop,
    order: EpochOrder,
    gradient: Vec<f32>,
}

impl<'a> Loop<'a> {
    fn new(data: &'a Dataset, config: &'a RunConfig) -> Self {
        let network = &config.architecture;
        Self {
            data,
            config,
            backprop: Backprop::new(network, config.batch_size as usize, config.dropout).centred(part(data)),
            order: EpochOrder::new(SAMPLES),
            gradient: vec![0.0; network.parameter_count()],
        }
    }

    /// Minibatches of an epoch.
    fn shuffle(&mut self, epoch: u32) -> usize {
        self.order.shuffle(self.config.seed, epoch);
        self.order.minibatches(self.config.batch_size as usize)
    }

    /// Returns the number of samples.
    fn step(&mut self, epoch: u32, index: usize, optimizer: &mut dyn Optimizer, theta: &mut [f32]) -> usize {
        let samples = self.order.minibatch(index, self.config.batch_size as usize);
        let key = DropoutKey { seed: self.config.seed, epoch, minibatch: index as u32 };
        let minibatch = Minibatch { split: part(self.data), samples };
        self.backprop.gradient(theta, &minibatch, key, &mut self.gradient);
        optimizer.step(self.config.learning_rate, 0, &self.gradient, theta);
        samples.len()
    }
}

/// DiLoCo in double precision: in each round from the same parameters, then an outer step along the mean. A
/// worker that has nothing to do in an epoch's last round has no part in that step.
fn diloco(data: &Dataset, config: &RunConfig) -> Vec<f32> {
    let mut steps = Loop::new(data, config);
    let mut base = config.architecture.initial_parameters(config.seed);
    let workers = config.workers as usize;
    let mut velocities = vec![vec![0.0_f64; base.len()]; workers];
    let mut optimizers: Vec<_> = (0..workers).map(|_| config.optimizer.build(base.len())).collect();
    let round = config.n_push as usize * workers;
    for epoch in 0..config.epochs {
        let total = steps.shuffle(epoch);
        for start in (0..total).step_by(round) {
            let (end, mut moves) = (total.min(start + round), Vec::new());
            for (worker, optimizer) in optimizers.iter_mut().enumerate() {
                let (mut theta, mut count) = (base.clone(), 0);
                for index in (start + worker..end).step_by(workers) {
                    count += steps.step(epoch, index, &mut **optimizer, &mut theta);
                }
                moves.push((worker, count, theta));
            }
            let all: usize = moves.iter().map(|(_, count, _)| count).sum();
            let mut next: Vec<f64> = base.iter().map(|x| f64::from(*x)).collect();
            for (worker, count, theta) in moves.into_iter().filter(|(_, count, _)| *count > 0) {
                let share = count as f64 / all as f64;
                for (((next, v), theta), base) in
                    next.iter_mut().zip(&mut velocities[worker]).zip(&theta).zip(&base)
                {
                    let moved = share * (f64::from(*theta) - f64::from(*base));
                    *v = 0.9 * *v + moved;
                    *next += 0.7 * (0.9 * *v + moved);
                }
            }
            base = next.into_iter().map(|x| x as f32).collect();
        }
    }
    base
}

/// 63 minibatches for three workers; 7 for six, so that the second round is one worker's; 3 for six, so that
/// three have none.
#[test]
fn diloco_is_nesterovs_step_along_the_mean() {
    let data = support::data();
    for (workers, batch_size, n_push) in [(3, 32, 4), (6, 300, 1), (6, 900, 4), (1, 32, 10)] {
        let config = RunConfig { batch_size, n_push, ..config(&data, Algorithm::Diloco, workers) };
        let wanted = diloco(&data, &config);
        for test in support::stores() {
            let run = train(test.store.clone(), &data, config.clone());
            let furthest = furthest(&parameters(&run), &wanted);
            let what = format!("{workers} workers on {}, batch {batch_size}", test.name);
            assert!(furthest < 1e-4, "{what}: {furthest}");
            check_counts(&run, &what);
        }
    }
}

#[test]
fn diloco_gives_the_same_bits_run_after_run() {
    let data = support::data();
    let config = RunConfig { codec: Codec::Int8, ..config(&data, Algorithm::Diloco, 3) };
    let first = train(Arc::new(MemoryStore::new()), &data, config.clone());
    for test in support::stores() {
        let again = train(test.store.clone(), &data, config.clone());
        assert_eq!(bits(&again), bits(&first), "{}", test.name);
    }
}

/// One worker's EASGD: the centre and θ approach each other every `n_push` minibatches and at an epoch's end.
fn easgd(data: &Dataset, config: &RunConfig) -> Vec<f32> {
    let mut steps = Loop::new(data, config);
    let mut centre = config.architecture.initial_parameters(config.seed);
    let mut theta = centre.clone();
    let mut optimizer = config.optimizer.build(centre.len());
    for epoch in 0..config.epochs {
        let total = steps.shuffle(epoch);
        for index in 0..total {
            steps.step(epoch, index, &mut *optimizer, &mut theta);
            let times =
                usize::from((index + 1) % config.n_push as usize == 0) + usize::from(index + 1 == total);
            for _ in 0..times {
                for (theta, centre) in theta.iter_mut().zip(&mut centre) {
                    let pulled = 0.9 * (*theta - *centre);
                    *theta -= pulled;
                    *centre += pulled;
                }
            }
        }
    }
    centre
}

#[test]
fn easgd_draws_a_worker_and_the_centre_together() {
    let data = support::data();
    for n_push in [1, 4, 1000] {
        let config = RunConfig { n_push, ..config(&data, Algorithm::Easgd, 1) };
        let wanted = easgd(&data, &config);
        for test in support::stores() {
            let run = train(test.store.clone(), &data, config.clone());
            let furthest = furthest(&parameters(&run), &wanted);
            assert!(furthest < 1e-4, "{n_push}, {}: {furthest}", test.name);
        }
    }
}

#[test]
fn workers_that_keep_their_distance_learn_together() {
    let data = support::data();
    for codec in Codec::ALL {
        for test in support::stores() {
            let config = RunConfig {
                codec,
                epochs: 12,
                optimizer: OptimizerKind::Sgd,
                learning_rate: 0.3,
                ..config(&data, Algorithm::Easgd, 3)
            };
            let run = train(test.store.clone(), &data, config);
            check_counts(&run, test.name);
            let accuracy = run.status().unwrap().result.unwrap().accuracy();
            assert!(accuracy > 0.5, "{codec} on {}: {accuracy}", test.name);
        }
    }
}
