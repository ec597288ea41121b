//! What a worker does with a minibatch.

use crate::dataset::{EpochOrder, Split};
use crate::downpour::config::RunConfig;
use crate::network::{Backprop, Centring, DropoutKey, Minibatch};
use crate::optimizer::Optimizer;

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
    backprop: Backprop,
    centring: Option<Centring>,
    optimizer: Box<dyn Optimizer>,
    gradient: Vec<f32>,
}

impl<'a> Training<'a> {
    /// On this data.
    pub(super) fn new(config: &RunConfig, train: Split<'a>) -> Self {
        let (network, parameters) = (&config.architecture, config.architecture.parameter_count());
        let batch_size = config.batch_size as usize;
        Self {
            train,
            batch_size,
            seed: config.seed,
            epoch: 0,
            order: EpochOrder::new(train.len()),
            backprop: Backprop::new(network, batch_size, config.dropout),
            centring: config.optimizer.is_linear().then(|| Centring::new(network, train)),
            optimizer: config.optimizer.build(parameters),
            gradient: vec![0.0; parameters],
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
        let loss = self.backprop.gradient(parameters, &minibatch, key, &mut self.gradient);
        if let Some(centring) = &mut self.centring {
            centring.apply(&mut self.gradient);
        }
        self.optimizer.step(rate, &self.gradient, parameters);
        Computed { samples: samples.len() as u64, loss }
    }

    fn accumulators(&self) -> &[f32] {
        self.optimizer.accumulators()
    }

    fn accumulators_mut(&mut self) -> &mut [f32] {
        self.optimizer.accumulators_mut()
    }
}
