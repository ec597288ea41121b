//! The gradient of a minibatch.

use std::ops::Range;

use super::centring::Centring;
use super::forward::Forward;
use super::{Architecture, Layer};
use crate::dataset::Split;
use crate::kernel::{Mask, MatrixMut, Rows, cross_entropy, gemm, multiply, scale_and_sum, tanh_dropout};

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
    /// Per hidden layer: the gradient in its weighted sums, and a row for their sum. (The logits' replaces the
    /// logits.)
    deltas: Vec<Rows>,
    labels: Vec<u8>,
    /// The gradient in a layer's biases.
    biases: Vec<f32>,
    /// That in some of its weights.
    part: Vec<f32>,
}

/// The gradient in some of the parameters.
#[derive(Debug)]
pub struct Part<'a> {
    /// The number of the first of them.
    pub start: usize,
    /// The gradient: whole rows of one layer's weights, or, after all of them, its biases.
    pub gradient: &'a [f32],
    /// The parameters.
    pub parameters: &'a mut [f32],
}

/// What becomes of the gradient.
enum Purpose<'a> {
    /// It is subtracted from the parameters times this rate, as it is computed: it's nowhere by itself.
    Descend(f32),
    /// It is handed out part by part.
    Apply(&'a mut dyn FnMut(Part<'_>)),
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
        let hidden = || architecture.hidden().iter().map(|&width| Rows::new(batch_size + 1, width)).collect();
        let layers = architecture.layers();
        let longest = |length: fn(&Layer) -> usize| layers.iter().map(length).max().unwrap_or_default();
        Self {
            forward: Forward::new(architecture, batch_size),
            dropout,
            batch_size,
            slopes: hidden(),
            deltas: hidden(),
            labels: Vec::with_capacity(batch_size),
            biases: vec![0.0; longest(|layer| layer.outputs)],
            part: vec![0.0; longest(|layer| part_rows(layer) * layer.outputs)],
        }
    }

    /// The same for training on centred images, in the parameters as they are: see `network/centring.rs`.
    #[must_use]
    pub fn centred(mut self, train: Split<'_>) -> Self {
        self.forward.input.centring = Some(Centring::new(train));
        self
    }

    /// Computes the mean over the minibatch of the gradient of the cross-entropy, and subtracts it times `rate` from
    /// the parameters. Returns the sum over the samples of the cross-entropy, under dropout. A minibatch without
    /// samples has no gradient.
    ///
    /// Mean, so that a learning rate means the same at every batch size. (The original
    /// divided by the square of the batch size, which locked it into tiny steps.)
    ///
    /// # Panics
    /// If the minibatch is larger than the batch size, a sample's index or label is out of range, its image has
    /// another size than the input layer, or `parameters` has another length than the network's parameters.
    pub fn descend(
        &mut self,
        parameters: &mut [f32],
        minibatch: &Minibatch<'_>,
        key: DropoutKey,
        rate: f32,
    ) -> f64 {
        self.run(parameters, minibatch, key, &mut Purpose::Descend(rate))
    }

    /// As [`Backprop::descend`], but hands the gradient out part by part to `apply`, which may change the parameters
    /// that it is the gradient in.
    ///
    /// # Panics
    /// As [`Backprop::descend`].
    pub fn by_parts(
        &mut self,
        parameters: &mut [f32],
        minibatch: &Minibatch<'_>,
        key: DropoutKey,
        apply: &mut dyn FnMut(Part<'_>),
    ) -> f64 {
        self.run(parameters, minibatch, key, &mut Purpose::Apply(apply))
    }

    /// Writes the whole gradient, laid out as the parameters are.
    ///
    /// # Panics
    /// As [`Backprop::descend`], or if `gradient` has another length.
    pub fn gradient(
        &mut self,
        parameters: &[f32],
        minibatch: &Minibatch<'_>,
        key: DropoutKey,
        gradient: &mut [f32],
    ) -> f64 {
        assert_eq!(gradient.len(), parameters.len(), "length of the gradient");
        gradient.fill(0.0);
        self.by_parts(&mut parameters.to_vec(), minibatch, key, &mut |part| {
            gradient[part.start..][..part.gradient.len()].copy_from_slice(part.gradient);
        })
    }

    fn run(
        &mut self,
        parameters: &mut [f32],
        minibatch: &Minibatch<'_>,
        key: DropoutKey,
        purpose: &mut Purpose<'_>,
    ) -> f64 {
        let Minibatch { split, samples } = *minibatch;
        let count = samples.len();
        assert!(count <= self.batch_size, "a minibatch of {count}; room is for {}", self.batch_size);
        if count == 0 {
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
        for layer in (0..self.forward.layers.len()).rev() {
            self.backward(layer, parameters, count, purpose);
        }
        loss_sum
    }

    /// One layer: from the gradient in its weighted sums (in the logits, for the last one, in whose place it
    /// lies) to that in the sums of the layer before and in its own parameters.
    fn backward(&mut self, index: usize, parameters: &mut [f32], count: usize, purpose: &mut Purpose<'_>) {
        let Forward { simd, layers, outputs, .. } = &mut self.forward;
        let (before, deltas) = self.deltas.split_at_mut(index);
        let delta = deltas.first_mut().unwrap_or(&mut outputs[index]);
        if let Some(before) = before.last_mut() {
            let weights = layers[index].weight_matrix(parameters);
            gemm(delta.matrix(count), weights.transposed(), false, &mut before.matrix_mut(count));
            multiply(*simd, count, &self.slopes[index - 1], before);
        }
        let factor = if let Purpose::Descend(rate) = purpose { -*rate } else { 1.0 };
        scale_and_sum(*simd, factor, count, delta);
        match purpose {
            Purpose::Descend(_) => self.step(index, parameters, count),
            Purpose::Apply(apply) => self.hand_out(index, parameters, count, apply),
        }
    }

    /// Adds the gradient in a layer's parameters to them, from that in its weighted sums.
    fn step(&mut self, index: usize, parameters: &mut [f32], count: usize) {
        let layer = &self.forward.layers[index];
        let delta = self.deltas.get(index).unwrap_or(&self.forward.outputs[index]);
        // What follows the weights lets the kernels write whole vectors.
        let weights = &mut parameters[layer.weights.start..layer.biases.end];
        self.forward.weight_gradient(index, 0..layer.inputs, count, delta, true, weights);
        let biases = &mut self.biases[..layer.outputs];
        self.forward.bias_gradient(index, count, delta, biases);
        let parameters = &mut parameters[layer.biases.clone()];
        parameters.iter_mut().zip(biases).for_each(|(parameter, step)| *parameter += *step);
    }

    /// Hands the gradient in a layer's parameters out.
    fn hand_out(
        &mut self,
        index: usize,
        parameters: &mut [f32],
        count: usize,
        apply: &mut dyn FnMut(Part<'_>),
    ) {
        let layer = &self.forward.layers[index];
        let delta = self.deltas.get(index).unwrap_or(&self.forward.outputs[index]);
        let rows_at_once = part_rows(layer);
        for first in (0..layer.inputs).step_by(rows_at_once) {
            let rows = first..layer.inputs.min(first + rows_at_once);
            let gradient = &mut self.part[..rows.len() * layer.outputs];
            self.forward.weight_gradient(index, rows, count, delta, false, gradient);
            let start = layer.weights.start + first * layer.outputs;
            apply(Part { start, gradient, parameters: &mut parameters[start..][..gradient.len()] });
        }
        let biases = &mut self.biases[..layer.outputs];
        self.forward.bias_gradient(index, count, delta, biases);
        let (start, parameters) = (layer.biases.start, &mut parameters[layer.biases.clone()]);
        apply(Part { start, gradient: biases, parameters });
    }
}

impl Forward {
    /// Some rows of the gradient in a layer's weights, or with `add` added to what `gradient` holds, after a pass
    /// with `count` samples. As [`Input::weight_gradient`](super::input::Input::weight_gradient).
    fn weight_gradient(
        &self,
        index: usize,
        rows: Range<usize>,
        count: usize,
        delta: &Rows,
        add: bool,
        gradient: &mut [f32],
    ) {
        let Some(before) = index.checked_sub(1) else {
            return self.input.weight_gradient(self.simd, rows, delta, add, gradient);
        };
        let mut gradient = MatrixMut::new(gradient, rows.len(), delta.width());
        let inputs = self.outputs[before].columns(count, rows).transposed();
        gemm(inputs, delta.matrix(count), add, &mut gradient);
    }

    /// The gradient in a layer's biases.
    fn bias_gradient(&self, index: usize, count: usize, delta: &Rows, biases: &mut [f32]) {
        if index == 0 {
            self.input.bias_gradient(delta, biases);
        } else {
            biases.copy_from_slice(delta.row(count));
        }
    }
}

/// Values of a part of the gradient, about: it stays in the second-level cache.
const PART: usize = 1 << 14;

/// Fewer rows would have to be multiplied by what takes long to prepare.
const MIN_PART_ROWS: usize = 48;

/// How many rows of a layer's weights are computed at once: an even number.
fn part_rows(layer: &Layer) -> usize {
    (PART / layer.outputs).next_multiple_of(2).max(MIN_PART_ROWS).min(layer.inputs.next_multiple_of(2))
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
