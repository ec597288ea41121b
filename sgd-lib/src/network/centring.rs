//! Training as if the images were centred.

use super::{Architecture, Layer};
use crate::dataset::Split;
use crate::kernel::{Simd, centre};

/// Images that the mean image is taken over, at most. It need not be exact, and each costs a page fault or two
/// at the start of a worker.
const SAMPLE: usize = 1_000;

/// Turns the gradient of a network into that of the same network on centred images (each pixel less its
/// mean over the training data), expressed in the parameters as they are.
///
/// Pixels are never negative, so the loss is far steeper along the mean image than along anything else,
/// and that one direction bounds the learning rate (LeCun, Bottou, Orr and Müller 1998: "Efficient
/// BackProp", section 4.3, asks for centred inputs). But centred images would have no blank pixels, and
/// products with blank pixels cost nothing. So the images stay as they are, and the first layer's
/// gradient is changed instead. With z = Wᵀ(x − μ) + b̃, b = b̃ − Wᵀμ, and δ the gradient in z, a step on
/// (W, b̃) is the step (G − μ·Σδᵀ, Σδ − G'ᵀμ) on (W, b), where G and Σδ are what back-propagation gives and
/// G' is the first of the two. A linear map of the gradient:
/// momentum works on it as ever, Adagrad does not.
///
/// A row whose pixel is blank in the whole minibatch stays zero, as if its mean were zero: so it need not
/// be pushed.
#[derive(Debug)]
pub struct Centring {
    simd: Simd,
    first: Layer,
    /// The mean image, scaled as the network's input is: 0 to 1.
    means: Vec<f32>,
    /// The gradient in the biases, before.
    sums: Vec<f32>,
}

impl Centring {
    /// For networks that train on `train`; the mean is taken over up to 1,000 images, evenly spread.
    pub fn new(architecture: &Architecture, train: Split<'_>) -> Self {
        let first = architecture.layers().swap_remove(0);
        Self { simd: Simd::detect(), means: mean_image(train), sums: vec![0.0; first.outputs], first }
    }

    /// Changes a part of a gradient as [`Backprop::descend`](super::Backprop::descend) hands it out: its
    /// parameters begin at `start`, `biases` is the gradient in the biases of their layer. Parts of the first
    /// layer's weights come in their order, and before the biases.
    ///
    /// # Panics
    /// If a part is not made of whole rows.
    pub fn apply(&mut self, start: usize, gradient: &mut [f32], biases: &mut [f32]) {
        if !self.first.weights.contains(&start) {
            return;
        }
        if start == 0 {
            self.sums.copy_from_slice(biases);
        }
        let width = self.first.outputs;
        assert!(
            start.is_multiple_of(width) && gradient.len().is_multiple_of(width),
            "rows of {width} values"
        );
        centre(self.simd, &self.means[start / width..], &self.sums, gradient, biases);
    }
}

fn mean_image(split: Split<'_>) -> Vec<f32> {
    let count = SAMPLE.min(split.len());
    let mut sums = vec![0u32; split.pixels];
    for index in 0..count {
        let image = split.image(index * split.len() / count);
        for (sum, &pixel) in sums.iter_mut().zip(image) {
            *sum += u32::from(pixel);
        }
    }
    sums.into_iter().map(|sum| (f64::from(sum) / (255.0 * count.max(1) as f64)) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Backprop, DropoutKey, Minibatch};

    const KEY: DropoutKey = DropoutKey { seed: 1, epoch: 0, minibatch: 0 };

    /// No pixel is blank, so nothing is left out.
    const IMAGES: [u8; 12] = [10, 200, 30, 90, 40, 255, 5, 60, 70, 128, 9, 33];

    /// A step on the centred network, computed in its own parameters.
    #[test]
    fn it_is_the_step_of_the_network_on_centred_images() {
        let architecture = Architecture::new(4, &[3], 2).unwrap();
        let train = Split { images: &IMAGES, labels: &[0, 1, 0], pixels: 4 };
        let mut gradient = vec![0.0; architecture.parameter_count()];
        let parameters = architecture.initial_parameters(3);
        let minibatch = Minibatch { split: train, samples: &[0, 1, 2] };
        Backprop::new(&architecture, 3, 0.0).gradient(&parameters, &minibatch, KEY, &mut gradient);
        let plain = gradient.clone();
        let mut centring = Centring::new(&architecture, train);
        // In two parts.
        let (weights, rest) = gradient.split_at_mut(12);
        centring.apply(0, &mut weights[..6], &mut rest[..3]);
        centring.apply(6, &mut weights[6..], &mut rest[..3]);
        centring.apply(12, &mut rest[..3].to_vec(), &mut []);

        for (pixel, mean) in centring.means.iter().enumerate() {
            let wanted: f32 = (0..3).map(|n| f32::from(IMAGES[4 * n + pixel])).sum::<f32>() / 765.0;
            assert!((mean - wanted).abs() < 1e-6);
        }
        for unit in 0..3 {
            let sum = plain[12 + unit];
            let mut bias = sum;
            for (pixel, mean) in centring.means.iter().enumerate() {
                let weight = plain[3 * pixel + unit] - mean * sum;
                assert!((gradient[3 * pixel + unit] - weight).abs() < 1e-6);
                bias -= mean * weight;
            }
            assert!((gradient[12 + unit] - bias).abs() < 1e-6);
        }
        assert_eq!(gradient[15..], plain[15..], "only the first layer's changes");
    }

    #[test]
    fn a_row_without_a_gradient_stays_zero() {
        let architecture = Architecture::new(4, &[3], 2).unwrap();
        let train = Split { images: &IMAGES, labels: &[0, 1, 0], pixels: 4 };
        let mut gradient = vec![1.0; architecture.parameter_count()];
        gradient[3..6].fill(0.0);
        let (weights, rest) = gradient.split_at_mut(12);
        Centring::new(&architecture, train).apply(0, weights, &mut rest[..3]);
        assert_eq!(gradient[3..6], [0.0; 3]);
        assert_ne!(gradient[..3], [1.0; 3]);
    }
}
