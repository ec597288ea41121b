//! The network once more, plainly: ndarray, double precision, no dropout.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use sgd_lib::dataset::Split;
use sgd_lib::network::{Architecture, Layer};

/// Images of which about the given share of pixels is not blank, with labels.
pub(crate) struct Samples {
    images: Vec<u8>,
    labels: Vec<u8>,
    pixels: usize,
}

impl Samples {
    pub(crate) fn new(architecture: &Architecture, count: usize, ink_percent: usize) -> Self {
        let pixels = architecture.inputs();
        // A small multiplicative generator is random enough here.
        let mut state = 12_345u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize
        };
        let images =
            (0..count * pixels).map(|_| if next() % 100 < ink_percent { next() as u8 } else { 0 }).collect();
        let labels = (0..count).map(|_| (next() % architecture.outputs()) as u8).collect();
        Self { images, labels, pixels }
    }

    pub(crate) fn split(&self) -> Split<'_> {
        Split { images: &self.images, labels: &self.labels, pixels: self.pixels }
    }

    /// The chosen samples: pixels from 0 to 1, and one-hot labels.
    fn arrays(&self, samples: &[u32], classes: usize) -> (Array2<f64>, Array2<f64>) {
        let images = Array2::from_shape_fn((samples.len(), self.pixels), |(row, pixel)| {
            f64::from(self.split().image(samples[row] as usize)[pixel]) / 255.0
        });
        let labels = Array2::from_shape_fn((samples.len(), classes), |(row, class)| {
            f64::from(u8::from(usize::from(self.labels[samples[row] as usize]) == class))
        });
        (images, labels)
    }
}

fn weights(layer: &Layer, parameters: &[f32]) -> Array2<f64> {
    let weights = &parameters[layer.weights.clone()];
    ArrayView2::from_shape((layer.inputs, layer.outputs), weights).unwrap().mapv(f64::from)
}

fn biases(layer: &Layer, parameters: &[f32]) -> Array1<f64> {
    ArrayView1::from(&parameters[layer.biases.clone()]).mapv(f64::from)
}

/// What the reference computes for a minibatch.
pub(crate) struct Expected {
    pub(crate) gradient: Vec<f64>,
    pub(crate) loss_sum: f64,
    pub(crate) probabilities: Array2<f64>,
    pub(crate) correct: usize,
}

impl Expected {
    pub(crate) fn new(
        architecture: &Architecture,
        parameters: &[f32],
        data: &Samples,
        samples: &[u32],
    ) -> Self {
        let (images, labels) = data.arrays(samples, architecture.outputs());
        let layers = architecture.layers();
        let mut activations = vec![images];
        for (index, layer) in layers.iter().enumerate() {
            let sums = activations[index].dot(&weights(layer, parameters)) + biases(layer, parameters);
            let is_hidden = index + 1 < layers.len();
            activations.push(if is_hidden { sums.mapv(f64::tanh) } else { sums });
        }
        let mut probabilities = activations.pop().unwrap().mapv(f64::exp);
        for mut row in probabilities.axis_iter_mut(Axis(0)) {
            row /= row.sum();
        }
        let delta = (&probabilities - &labels) / samples.len() as f64;
        let gradient = gradient(&layers, parameters, &activations, delta);
        let loss_sum = -(&labels * &probabilities.mapv(f64::ln)).sum();
        let is_correct = |(found, wanted): (ArrayView1<'_, f64>, ArrayView1<'_, f64>)| {
            let label = wanted.iter().position(|&x| x == 1.0).unwrap();
            found.iter().all(|&x| x <= found[label])
        };
        let correct = probabilities.outer_iter().zip(labels.outer_iter()).filter(|&p| is_correct(p)).count();
        Self { gradient, loss_sum, probabilities, correct }
    }
}

fn gradient(
    layers: &[Layer],
    parameters: &[f32],
    activations: &[Array2<f64>],
    mut delta: Array2<f64>,
) -> Vec<f64> {
    let mut gradient = vec![0.0; parameters.len()];
    for (layer, input) in layers.iter().zip(activations).rev() {
        let of_weights = input.t().dot(&delta);
        gradient[layer.weights.clone()].iter_mut().zip(&of_weights).for_each(|(g, &x)| *g = x);
        gradient[layer.biases.clone()].iter_mut().zip(&delta.sum_axis(Axis(0))).for_each(|(g, &x)| *g = x);
        delta = delta.dot(&weights(layer, parameters).t()) * input.mapv(|tanh| 1.0 - tanh * tanh);
    }
    gradient
}
