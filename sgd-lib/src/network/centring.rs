//! Training as if the images were centred.

use crate::dataset::Split;
use crate::kernel::{Rows, Simd, bias_factors, shift, weighted_sum};

/// Images that the mean image is taken over, at most. It need not be exact, and each costs a page fault or two
/// at the start of a worker.
const SAMPLE: usize = 1_000;

/// What makes the gradient of a network that of the same network on centred images (each pixel less its
/// mean over the training data), expressed in the parameters as they are.
///
/// Pixels are never negative, so the loss is far steeper along the mean image than along anything else,
/// and that one direction bounds the learning rate (LeCun, Bottou, Orr and Müller 1998: "Efficient
/// BackProp", section 4.3, asks for centred inputs). But centred images would have no blank pixels, and
/// products with blank pixels cost nothing. So the images stay as they are, and the first layer's
/// gradient is changed instead. With z = Wᵀ(x − μ) + b̃, b = b̃ − Wᵀμ, and δ the gradient in z, a step on
/// (W, b̃) is the step (G', Σδ − G'ᵀμ) on (W, b), where G' = Σ(x − μ)δᵀ. A linear map of the gradient:
/// momentum works on it as ever, Adagrad does not.
///
/// G' is what one more sample would make of the gradient, with the image −μ and Σδ for its δ; and
/// Σδ − G'ᵀμ = Σ(1 − (x − μ)ᵀμ)δ needs a factor a sample. So it costs next to nothing.
///
/// The mean of a pixel that is blank in the whole minibatch is taken for zero: its row of the gradient stays zero
/// and need not be pushed.
#[derive(Debug)]
pub(super) struct Centring {
    simd: Simd,
    /// The mean image, scaled as the network's input is: 0 to 1.
    means: Vec<f32>,
    /// Room to find out which pixels are not blank.
    ink: Vec<u8>,
    /// −μ for the minibatch.
    shift: Vec<f32>,
    /// Its samples' factors.
    factors: Vec<f32>,
}

impl Centring {
    /// For networks that train on `train`; the mean is taken over up to 1,000 images, evenly spread.
    pub(super) fn new(train: Split<'_>) -> Self {
        let (means, zeros) = (mean_image(train), vec![0.0; train.pixels]);
        Self { simd: Simd::detect(), means, ink: vec![0; train.pixels], shift: zeros, factors: Vec::new() }
    }

    /// Takes in a minibatch's images, one after the other.
    pub(super) fn load(&mut self, images: &[u8]) {
        shift(self.simd, images, &self.means, &mut self.ink, &mut self.shift);
        self.factors.resize(images.len() / self.means.len(), 0.0);
        bias_factors(self.simd, images, &self.shift, &mut self.factors);
    }

    /// What is added to each image.
    pub(super) fn shift(&self) -> &[f32] {
        &self.shift
    }

    /// The gradient in the biases, from that in the samples' weighted sums.
    pub(super) fn bias_gradient(&self, delta: &Rows, biases: &mut [f32]) {
        weighted_sum(self.simd, &self.factors, delta, biases);
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
    use crate::network::{Architecture, Backprop, DropoutKey, Minibatch};

    const KEY: DropoutKey = DropoutKey { seed: 1, epoch: 0, minibatch: 0 };

    /// The last pixel is blank in the first two images.
    const IMAGES: [u8; 12] = [10, 200, 30, 0, 40, 255, 5, 0, 70, 128, 9, 33];

    /// The gradient as it is, and centred, of a network with `width` hidden units, and the means.
    fn gradients(width: usize, samples: &[u32]) -> (Vec<f32>, Vec<f32>, [f32; 4]) {
        let architecture = Architecture::new(4, &[width], 2).unwrap();
        let train = Split { images: &IMAGES, labels: &[0, 1, 0], pixels: 4 };
        let parameters = architecture.initial_parameters(3);
        let minibatch = Minibatch { split: train, samples };
        let gradient = |mut backprop: Backprop| {
            let mut gradient = vec![f32::NAN; parameters.len()];
            backprop.gradient(&parameters, &minibatch, KEY, &mut gradient);
            gradient
        };
        let plain = gradient(Backprop::new(&architecture, 3, 0.0));
        let centred = gradient(Backprop::new(&architecture, 3, 0.0).centred(train));
        let mean = |pixel: usize| (0..3).map(|n| f32::from(IMAGES[4 * n + pixel])).sum::<f32>() / 765.0;
        (plain, centred, [0, 1, 2, 3].map(mean))
    }

    /// A step on the centred network, computed in its own parameters; both for dense products and others.
    #[test]
    fn it_is_the_step_of_the_network_on_centred_images() {
        for width in [3, 20] {
            let (plain, centred, means) = gradients(width, &[0, 1, 2]);
            for unit in 0..width {
                let sum = plain[4 * width + unit];
                let mut bias = sum;
                for (pixel, mean) in means.iter().enumerate() {
                    let weight = plain[width * pixel + unit] - mean * sum;
                    assert!((centred[width * pixel + unit] - weight).abs() < 1e-6);
                    bias -= mean * weight;
                }
                assert!((centred[4 * width + unit] - bias).abs() < 1e-6);
            }
            assert_eq!(centred[5 * width..], plain[5 * width..], "only the first layer's changes");
        }
    }

    #[test]
    fn a_pixel_that_is_blank_in_the_minibatch_has_no_gradient() {
        for width in [3, 20] {
            let (plain, centred, _) = gradients(width, &[0, 1]);
            assert!(centred[3 * width..4 * width].iter().all(|&x| x == 0.0));
            assert_ne!(centred[..3 * width], plain[..3 * width]);
        }
    }
}
