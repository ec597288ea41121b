//! What a gradient does to the parameters: SGD, momentum, Adagrad, learning-rate schedules.
//!
//! A learning rate is of the mean gradient over a minibatch, the usual meaning: 0.1 means the
//! same at every batch size. The original divided the gradient by the square of the batch
//! size instead and so locked itself into tiny steps; its rates can't be carried over.

use std::ops::Range;

mod adagrad;
mod kind;
mod momentum;
mod names;
mod schedule;
mod sgd;
mod trainer;

pub use adagrad::Adagrad;
pub use kind::OptimizerKind;
pub use momentum::Momentum;
pub use names::UnknownName;
pub use schedule::LearningRateSchedule;
pub use sgd::Sgd;
pub use trainer::Trainer;

/// A rule by which a gradient changes the parameters, each by itself.
pub trait Optimizer: Send {
    /// Changes some of the parameters, those from the number `start` on, by one step against `gradient`, their
    /// part of the mean over a minibatch.
    ///
    /// # Panics
    /// If the lengths differ, or there are fewer parameters.
    fn step(&mut self, learning_rate: f32, start: usize, gradient: &[f32], parameters: &mut [f32]);

    /// Whether a step is `parameters −= learning_rate · gradient` and no more: whoever computes the gradient can do
    /// that along the way.
    fn is_plain(&self) -> bool {
        false
    }

    /// What it remembers of the gradients so far, a value a parameter; empty where it remembers nothing.
    fn accumulators(&self) -> &[f32] {
        &[]
    }

    /// The same, to be set by somebody who goes on where another optimizer stopped.
    fn accumulators_mut(&mut self) -> &mut [f32] {
        &mut []
    }
}

/// Which parameters a step changes.
fn changed(count: usize, start: usize, gradient: &[f32], parameters: &[f32]) -> Range<usize> {
    assert_eq!(gradient.len(), parameters.len(), "length of the gradient");
    let end = start + gradient.len();
    assert!(end <= count, "parameters {start} to {end} of {count}");
    start..end
}
