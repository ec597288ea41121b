//! What a worker does with a minibatch.

use crate::dataset::{EpochOrder, Split};
use crate::downpour::config::RunConfig;
use crate::network::{DropoutKey, Minibatch};
use crate::optimizer::Trainer;

/// What a minibatch was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Computed {
    /// Its number of samples.
    pub samples: u64,
    /// The sum of their losses, before the step.
    pub loss: f64,
}

/// Trains a worker's parameters on minibatches. A [`Worker`](super::Worker) does it by backpropagation
/// unless it is given something else.
pub trait Compute {
    /// What follows are minibatches of this epoch.
    fn begin_epoch(&mut self, epoch: u32);

    /// One step on `parameters`, in the architecture's flat layout, by minibatch number `index` of the epoch
    /// at this learning rate.
    fn minibatch(&mut self, index: u32, rate: f32, parameters: &mut [f32]) -> Computed;

    /// What one step leaves to the next beside the parameters: for a successor.
    fn accumulators(&self) -> &[f32] {
        &[]
    }

    /// The same, to be set by a successor.
    fn accumulators_mut(&mut self) -> &mut [f32] {
        &mut []
    }
}

/// Backpropagation and the run's optimizer.
pub(super) struct Training<'a> {
    train: Split<'a>,
    batch_size: usize,
    seed: u64,
    epoch: u32,
    order: EpochOrder,
    trainer: Trainer,
}

impl<'a> Training<'a> {
    /// On this data.
    pub(super) fn new(config: &RunConfig, train: Split<'a>) -> Self {
        let (network, batch_size) = (&config.architecture, config.batch_size as usize);
        Self {
            train,
            batch_size,
            seed: config.seed,
            epoch: 0,
            order: EpochOrder::new(train.len()),
            trainer: Trainer::new(network, train, batch_size, config.dropout, config.optimizer),
        }
    }
}

impl Compute for Training<'_> {
    fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
        self.order.shuffle(self.seed, epoch);
    }

    fn minibatch(&mut self, index: u32, rate: f32, parameters: &mut [f32]) -> Computed {
        let samples = self.order.minibatch(index as usize, self.batch_size);
        let minibatch = Minibatch { split: self.train, samples };
        let key = DropoutKey { seed: self.seed, epoch: self.epoch, minibatch: index };
        let loss = self.trainer.step(parameters, &minibatch, key, rate);
        Computed { samples: samples.len() as u64, loss }
    }

    fn accumulators(&self) -> &[f32] {
        self.trainer.optimizer().accumulators()
    }

    fn accumulators_mut(&mut self) -> &mut [f32] {
        self.trainer.optimizer_mut().accumulators_mut()
    }
}
