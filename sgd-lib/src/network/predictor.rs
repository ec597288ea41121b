//! Accuracy, loss and probabilities without dropout.

use super::Architecture;
use super::forward::Forward;
use crate::dataset::Split;
use crate::kernel::{assess, softmax, tanh};

/// Images per pass: few enough that a pass stays in the processor's nearest caches.
const CHUNK: usize = 64;

/// How well parameters fit a split.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// How many samples were looked at.
    pub samples: usize,
    /// How many of them were classified correctly.
    pub correct: usize,
    /// Sum of their cross-entropies, in nats.
    pub loss_sum: f64,
}

impl Evaluation {
    /// Share of the samples that were classified correctly; 0 where there are none.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples.max(1) as f64
    }

    /// Mean cross-entropy in nats; 0 where there are no samples.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.samples.max(1) as f64
    }
}

/// Forward passes for prediction: no dropout, a few images at a time, so that its memory
/// does not grow with the number of images.
#[derive(Debug)]
pub struct Predictor {
    forward: Forward,
    probabilities: Vec<f32>,
}

impl Predictor {
    /// Buffers for a few images.
    pub fn new(architecture: &Architecture) -> Self {
        Self { forward: Forward::new(architecture, CHUNK), probabilities: Vec::new() }
    }

    /// Classifies every image of the split and compares with the labels.
    ///
    /// # Panics
    /// If the images have another size than the input layer, a label is no class, or
    /// `parameters` has another length than the network's parameters.
    pub fn evaluate(&mut self, parameters: &[f32], split: Split<'_>) -> Evaluation {
        let mut evaluation = Evaluation { samples: split.len(), ..Evaluation::default() };
        let chunks = split.images.chunks(CHUNK * split.pixels.max(1)).zip(split.labels.chunks(CHUNK));
        for (images, labels) in chunks {
            self.run(parameters, images.chunks_exact(split.pixels));
            let found = assess(self.forward.simd, self.forward.logits(), labels);
            evaluation.correct += found.correct;
            evaluation.loss_sum += found.loss_sum;
        }
        evaluation
    }

    /// The classes' probabilities for each image, one row of `outputs` values after the
    /// other. `images` holds the pixels of one image after the other.
    ///
    /// # Panics
    /// If `images` is not a whole number of images of the input layer's size, or `parameters`
    /// has another length than the network's parameters.
    pub fn probabilities(&mut self, parameters: &[f32], images: &[u8]) -> &[f32] {
        let pixels = self.forward.layers[0].inputs;
        assert!(images.len().is_multiple_of(pixels), "{} pixels are no images of {pixels}", images.len());
        self.probabilities.clear();
        for chunk in images.chunks(CHUNK * pixels) {
            let images = chunk.chunks_exact(pixels);
            let count = images.len();
            self.run(parameters, images);
            softmax(self.forward.simd, count, self.forward.logits());
            for row in self.forward.logits().iter(count) {
                self.probabilities.extend_from_slice(row);
            }
        }
        &self.probabilities
    }

    fn run<'a>(&mut self, parameters: &[f32], images: impl ExactSizeIterator<Item = &'a [u8]> + Clone) {
        let (simd, count) = (self.forward.simd, images.len());
        self.forward.run(parameters, images, |_, output| tanh(simd, count, output));
    }
}
