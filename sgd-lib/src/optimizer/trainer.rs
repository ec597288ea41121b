//! All that a worker computes for a minibatch.
//!
//! The gradient is never there as a whole: it is added to the parameters as it is computed, or, for optimizers that
//! do more, a part at a time is computed and applied while it is in the cache.

use super::{Optimizer, OptimizerKind};
use crate::dataset::Split;
use crate::network::{Architecture, Backprop, DropoutKey, Minibatch};

/// Takes steps: gradient and update. All buffers are allocated once, by [`Trainer::new`].
pub struct Trainer {
    backprop: Backprop,
    optimizer: Box<dyn Optimizer>,
}

impl Trainer {
    /// For minibatches of up to `batch_size` samples of `train`, with this share of the hidden layers' outputs
    /// dropped.
    ///
    /// # Panics
    /// As [`Backprop::new`].
    pub fn new(
        architecture: &Architecture,
        train: Split<'_>,
        batch_size: usize,
        dropout: f32,
        optimizer: OptimizerKind,
    ) -> Self {
        let backprop = Backprop::new(architecture, batch_size, dropout);
        Self {
            backprop: if optimizer.is_linear() { backprop.centred(train) } else { backprop },
            optimizer: optimizer.build(architecture.parameter_count()),
        }
    }

    /// Changes `parameters` by one step against the minibatch's gradient, and returns the sum over its samples
    /// of the cross-entropy, under dropout.
    ///
    /// # Panics
    /// As [`Backprop::descend`].
    pub fn step(
        &mut self,
        parameters: &mut [f32],
        minibatch: &Minibatch<'_>,
        key: DropoutKey,
        learning_rate: f32,
    ) -> f64 {
        let Self { backprop, optimizer } = self;
        if optimizer.is_plain() {
            return backprop.descend(parameters, minibatch, key, learning_rate);
        }
        backprop.by_parts(parameters, minibatch, key, &mut |part| {
            optimizer.step(learning_rate, part.start, part.gradient, part.parameters);
        })
    }

    /// What changes the parameters.
    pub fn optimizer(&self) -> &dyn Optimizer {
        &*self.optimizer
    }

    /// The same, to be set.
    pub fn optimizer_mut(&mut self) -> &mut dyn Optimizer {
        &mut *self.optimizer
    }
}
