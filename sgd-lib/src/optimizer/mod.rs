//! What a gradient does to the parameters: SGD, momentum, Adagrad, learning-rate schedules.
//!
//! A learning rate is of the mean gradient over a minibatch, the usual meaning: 0.1 means the
//! same at every batch size. The original divided the gradient by the square of the batch
//! size instead and so locked itself into tiny steps; its rates can't be carried over.

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

/// A rule by which a gradient changes the parameters.
pub trait Optimizer: Send {
    /// Changes `parameters` by one step against `gradient`, the mean over a minibatch.
    ///
    /// # Panics
    /// If the lengths differ from each other, or from what the optimizer was made for.
    fn step(&mut self, learning_rate: f32, gradient: &[f32], parameters: &mut [f32]);

    /// What it remembers of the gradients so far, a value a parameter; empty where it remembers nothing.
    fn accumulators(&self) -> &[f32] {
        &[]
    }

    /// The same, to be set by somebody who goes on where another optimizer stopped.
    fn accumulators_mut(&mut self) -> &mut [f32] {
        &mut []
    }
}

/// All vectors of a step are of the same length.
fn check_lengths(wanted: usize, gradient: &[f32], parameters: &[f32]) {
    assert_eq!(gradient.len(), wanted, "length of the gradient");
    assert_eq!(parameters.len(), wanted, "number of parameters");
}
