//! Adagrad.

use super::{Optimizer, changed};
use crate::kernel::{self, Simd};

/// Keeps a parameter whose gradients were all zero from being divided by zero.
const EPSILON: f32 = 1e-10;

/// Adagrad (Duchi, Hazan, Singer 2011): `s += g²`, `w -= η g / √s`.
///
/// Each parameter has its own rate, which falls with the gradients it has seen: what Downpour
/// SGD was run with in Dean et al. 2012. The first step moves every parameter by η.
#[derive(Debug)]
pub struct Adagrad {
    simd: Simd,
    squares: Vec<f32>,
}

impl Adagrad {
    /// Without a past, for this many parameters.
    pub fn new(parameter_count: usize) -> Self {
        Self { simd: Simd::detect(), squares: vec![0.0; parameter_count] }
    }
}

impl Optimizer for Adagrad {
    fn step(&mut self, learning_rate: f32, start: usize, gradient: &[f32], parameters: &mut [f32]) {
        let changed = changed(self.squares.len(), start, gradient, parameters);
        let squares = &mut self.squares[changed];
        kernel::adagrad(self.simd, learning_rate, EPSILON, gradient, squares, parameters);
    }

    fn accumulators(&self) -> &[f32] {
        &self.squares
    }

    fn accumulators_mut(&mut self) -> &mut [f32] {
        &mut self.squares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let (mut adagrad, mut parameters) = (Adagrad::new(3), [1.0f32, 1.0, 1.0]);
        // s = 9, 0, 0.25 and then 25, 0, 0.25.
        for (gradient, expected) in [([3.0, 0.0, -0.5], [0.9, 1.0, 1.1]), ([4.0, 0.0, 0.0], [0.82, 1.0, 1.1])]
        {
            adagrad.step(0.1, 0, &gradient, &mut parameters);
            assert!(parameters.iter().zip(expected).all(|(p, e)| (p - e).abs() < 1e-6), "{parameters:?}");
        }
    }
}
