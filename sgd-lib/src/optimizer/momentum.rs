//! Gradient descent with momentum.

use super::{Optimizer, changed};
use crate::kernel::{self, Simd};

/// How much of the velocity stays from step to step, the usual choice.
const DECAY: f32 = 0.9;

/// Gradient descent with (heavy-ball) momentum: `v = 0.9 v + g`, `w -= η v`.
///
/// With a steady gradient the steps grow to ten times those of plain SGD, so a good
/// learning rate is about a tenth of its.
#[derive(Debug)]
pub struct Momentum {
    simd: Simd,
    velocity: Vec<f32>,
}

impl Momentum {
    /// At rest, for this many parameters.
    pub fn new(parameter_count: usize) -> Self {
        Self { simd: Simd::detect(), velocity: vec![0.0; parameter_count] }
    }
}

impl Optimizer for Momentum {
    fn step(&mut self, learning_rate: f32, start: usize, gradient: &[f32], parameters: &mut [f32]) {
        let changed = changed(self.velocity.len(), start, gradient, parameters);
        let velocity = &mut self.velocity[changed];
        kernel::momentum(self.simd, learning_rate, DECAY, gradient, velocity, parameters);
    }

    fn accumulators(&self) -> &[f32] {
        &self.velocity
    }

    fn accumulators_mut(&mut self) -> &mut [f32] {
        &mut self.velocity
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_steps_by_hand() {
        let (mut momentum, mut parameters) = (Momentum::new(2), [1.0f32, 0.0]);
        // v = 1, 1.9, 2.71 and 0, -1, -0.9.
        for (gradient, expected) in
            [([1.0, 0.0], [0.9, 0.0]), ([1.0, -1.0], [0.71, 0.1]), ([1.0, 0.0], [0.439, 0.19])]
        {
            momentum.step(0.1, 0, &gradient, &mut parameters);
            assert!(parameters.iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-6), "{parameters:?}");
        }
    }
}
