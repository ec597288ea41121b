//! Plain stochastic gradient descent.

use super::{Optimizer, changed};
use crate::kernel::{Simd, descend};

/// Plain stochastic gradient descent: `w -= η g`.
#[derive(Debug)]
pub struct Sgd {
    simd: Simd,
    parameter_count: usize,
}

impl Sgd {
    /// For this many parameters.
    pub fn new(parameter_count: usize) -> Self {
        Self { simd: Simd::detect(), parameter_count }
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, learning_rate: f32, start: usize, gradient: &[f32], parameters: &mut [f32]) {
        changed(self.parameter_count, start, gradient, parameters);
        descend(self.simd, learning_rate, gradient, parameters);
    }

    fn is_plain(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let (mut sgd, mut parameters) = (Sgd::new(2), [1.0, -2.0]);
        sgd.step(0.5, 0, &[1.0, -0.5], &mut parameters);
        assert_eq!(parameters, [0.5, -1.75]);
        sgd.step(0.25, 1, &[1.0], &mut parameters[1..]);
        assert_eq!(parameters, [0.5, -2.0]);
    }
}
