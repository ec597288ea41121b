//! The gradient of a minibatch.

use super::Architecture;
use super::forward::Forward;
use crate::dataset::Split;
use crate::kernel::{Mask, MatrixMut, Rows, cross_entropy, gemm, multiply, sum_rows, tanh_dropout};

/// The samples that one step learns from.
#[derive(Clone, Copy, Debug)]
pub struct Minibatch<'a> {
    /// Where the samples are.
    pub split: Split<'a>,
    /// Their indexes in the split.
    pub samples: &'a [u32],
}

/// What dropout masks are a function of: the same key, the same masks, whoever computes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropoutKey {
    /// The run's seed; workers that should drop differently need different ones.
    pub seed: u64,
    /// The epoch.
    pub epoch: u32,
    /// The minibatch within the epoch.
    pub minibatch: u32,
}

impl DropoutKey {
    fn mask(self, dropout: f32, layer: usize) -> Mask {
        Mask::new(dropout, [self.seed, u64::from(self.epoch), u64::from(self.minibatch), layer as u64])
    }
}

/// Gradients by back-propagation. All buffers are allocated once, by [`Backprop::new`].
#[derive(Debug)]
pub struct Backprop {
    forward: Forward,
    dropout: f32,
    batch_size: usize,
    /// Per hidden layer: what a gradient is multiplied by on its way back through activation and dropout.
    slopes: Vec<Rows>,
    /// Per hidden layer: the gradient in its weighted sums. (The logits' replaces the logits.)
    deltas: Vec<Rows>,
    labels: Vec<u8>,
}

impl Backprop {
    /// Buffers for minibatches of up to `batch_size` samples; `dropout` is the fraction of each
    /// hidden layer's output that is dropped (inverted dropout: the rest is scaled up, so that
    /// prediction needs no correction).
    ///
    /// # Panics
    /// If `batch_size` is zero or above 2¹⁶, or `dropout` is not in `0.0..1.0`.
    pub fn new(architecture: &Architecture, batch_size: usize, dropout: f32) -> Self {
        assert!(batch_size > 0, "a minibatch of 0 samples");
        assert!((0.0..1.0).contains(&dropout), "dropout is {dropout}; it must be at least 0 and below 1");
        let hidden = || architecture.hidden().iter().map(|&width| Rows::new(batch_size, width)).collect();
        Self {
            forward: Forward::new(architecture, batch_size),
            dropout,
            batch_size,
            slopes: hidden(),
            deltas: hidden(),
            labels: Vec::with_capacity(batch_size),
        }
    }

    /// Writes the mean over the minibatch of the gradient of the cross-entropy to `gradient`,
    /// laid out as the parameters are, and returns the sum over the samples of the
    /// cross-entropy, under dropout. A minibatch without samples has a gradient of zero.
    ///
    /// Mean, so that a learning rate means the same at every batch size. (The original
    /// divided by the square of the batch size, which locked it into tiny steps.)
    ///
    /// # Panics
    /// If the minibatch is larger than the batch size, a sample's index or label is out of
    /// range, its image has another size than the input layer, or `parameters` or `gradient`
    /// has another length than the network's parameters.
    pub fn gradient(
        &mut self,
        parameters: &[f32],
        minibatch: &Minibatch<'_>,
        key: DropoutKey,
        gradient: &mut [f32],
    ) -> f64 {
        let Minibatch { split, samples } = *minibatch;
        let count = samples.len();
        assert!(count <= self.batch_size, "a minibatch of {count}; room is for {}", self.batch_size);
        assert_eq!(gradient.len(), parameters.len(), "length of the gradient");
        if count == 0 {
            gradient.fill(0.0);
            return 0.0;
        }
        let images = samples.iter().map(|&sample| split.image(sample as usize));
        let (simd, slopes, dropout) = (self.forward.simd, &mut self.slopes, self.dropout);
        self.forward.run(parameters, images, |layer, output| {
            tanh_dropout(simd, count, output, key.mask(dropout, layer), &mut slopes[layer]);
        });
        self.labels.clear();
        self.labels.extend(samples.iter().map(|&sample| split.labels[sample as usize]));
        let loss_sum = cross_entropy(simd, self.forward.logits(), &self.labels);
        self.backward(parameters, count, gradient);
        loss_sum
    }

    /// From the gradient in the logits, which lies in their place, to all parameters'.
    fn backward(&mut self, parameters: &[f32], count: usize, gradient: &mut [f32]) {
        let Forward { simd, layers, input, outputs } = &self.forward;
        for (index, layer) in layers.iter().enumerate().rev() {
            let (before, rest) = self.deltas.split_at_mut(index);
            let delta = rest.first().unwrap_or(&outputs[index]);
            sum_rows(*simd, count, delta, &mut gradient[layer.biases.clone()]);
            let Some(delta_before) = before.last_mut() else {
                input.weight_gradient(*simd, layer, delta, gradient);
                break;
            };
            let weights = layer.weight_matrix(parameters);
            let mut weight_gradient =
                MatrixMut::new(&mut gradient[layer.weights.clone()], layer.inputs, layer.outputs);
            gemm(
                outputs[index - 1].matrix(count).transposed(),
                delta.matrix(count),
                false,
                &mut weight_gradient,
            );
            gemm(delta.matrix(count), weights.transposed(), false, &mut delta_before.matrix_mut(count));
            multiply(*simd, count, &self.slopes[index - 1], delta_before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "dropout is 1; it must be at least 0 and below 1")]
    fn dropping_everything_is_refused() {
        Backprop::new(&Architecture::new(4, &[3], 2).unwrap(), 8, 1.0);
    }

    #[test]
    #[should_panic(expected = "a minibatch of 3; room is for 2")]
    fn a_minibatch_that_is_too_large_is_refused() {
        let architecture = Architecture::new(1, &[], 2).unwrap();
        let split = Split { images: &[0; 3], labels: &[0; 3], pixels: 1 };
        let minibatch = Minibatch { split, samples: &[0, 1, 2] };
        let key = DropoutKey { seed: 1, epoch: 0, minibatch: 0 };
        Backprop::new(&architecture, 2, 0.0).gradient(&[0.0; 4], &minibatch, key, &mut [0.0; 4]);
    }
}
