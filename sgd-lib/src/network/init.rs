//! The parameters that training starts from.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::Architecture;

impl Architecture {
    /// Parameters to start from, [`Architecture::parameter_count`] of them: biases are zero,
    /// a layer's weights uniform within ±√(6 / (inputs + outputs)), so that neither signals
    /// nor gradients grow or fade from layer to layer with tanh (Glorot and Bengio 2010:
    /// "Understanding the difficulty of training deep feedforward neural networks", eq. 16).
    ///
    /// The same seed gives the same bits on every machine.
    pub fn initial_parameters(&self, seed: u64) -> Vec<f32> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut parameters = vec![0.0; self.parameter_count()];
        for layer in self.layers() {
            let limit = (6.0 / (layer.inputs + layer.outputs) as f64).sqrt() as f32;
            for weight in &mut parameters[layer.weights] {
                *weight = limit * symmetric(&mut random);
            }
        }
        parameters
    }
}

/// Uniform in −1..1, on a grid that single precision holds exactly.
fn symmetric(random: &mut Xoshiro256PlusPlus) -> f32 {
    const BITS: u32 = 24;
    const HALF: f32 = (1 << (BITS - 1)) as f32;
    // The highest bits; an odd multiple of half a step, so that the mean is exactly zero.
    let step = (random.next_u64() >> (64 - BITS + 1)) as f32;
    (2.0 * step + 1.0) / HALF - 1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_parameters() {
        let network = Architecture::new(784, &[100], 47).unwrap();
        assert_eq!(network.initial_parameters(1), network.initial_parameters(1));
        assert_ne!(network.initial_parameters(1), network.initial_parameters(2));
    }

    #[test]
    fn weights_are_uniform_and_biases_zero() {
        let network = Architecture::new(784, &[100], 47).unwrap();
        let parameters = network.initial_parameters(3);
        assert_eq!(parameters.len(), network.parameter_count());
        for layer in network.layers() {
            let limit = (6.0 / (layer.inputs + layer.outputs) as f32).sqrt();
            let weights = &parameters[layer.weights.clone()];
            let mean = weights.iter().sum::<f32>() / weights.len() as f32;
            let variance = weights.iter().map(|w| w * w).sum::<f32>() / weights.len() as f32;
            assert!(weights.iter().all(|w| w.abs() <= limit));
            assert!(mean.abs() < 0.03 * limit, "mean {mean}");
            assert!((variance * 3.0 / (limit * limit) - 1.0).abs() < 0.05, "variance {variance}");
            assert!(parameters[layer.biases].iter().all(|&bias| bias == 0.0));
        }
    }
}
