//! The pass that training and prediction share.

use super::input::Input;
use super::{Architecture, Layer};
use crate::kernel::{Matrix, Rows, Simd, gemm};

/// The layers and what they put out for one minibatch.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) simd: Simd,
    pub(super) layers: Vec<Layer>,
    pub(super) input: Input,
    /// One per layer: the hidden layers' outputs, then the logits. All have a row to spare.
    pub(super) outputs: Vec<Rows>,
}

impl Forward {
    /// Buffers for minibatches of up to `capacity` samples.
    pub(super) fn new(architecture: &Architecture, capacity: usize) -> Self {
        let layers = architecture.layers();
        Self {
            simd: Simd::detect(),
            input: Input::new(&layers[0], capacity),
            outputs: layers.iter().map(|layer| Rows::new(capacity + 1, layer.outputs)).collect(),
            layers,
        }
    }

    /// Computes every layer's output; `activate` is called with each hidden layer's index and
    /// weighted sums, and replaces them by what the layer puts out.
    ///
    /// # Panics
    /// If there are more images than room for, or the number of parameters isn't the network's.
    pub(super) fn run<'a>(
        &mut self,
        parameters: &[f32],
        images: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
        mut activate: impl FnMut(usize, &mut Rows),
    ) {
        let count = self.layers.last().map_or(0, |layer| layer.biases.end);
        assert_eq!(parameters.len(), count, "number of parameters");
        let samples = images.len();
        self.input.load(self.simd, &self.layers[0], images);
        for (index, layer) in self.layers.iter().enumerate() {
            let (before, rest) = self.outputs.split_at_mut(index);
            let output = &mut rest[0];
            output.fill(samples, &parameters[layer.biases.clone()]);
            match before.last() {
                None => self.input.forward(self.simd, layer, parameters, output),
                Some(input) => {
                    let weights = layer.weight_matrix(parameters);
                    gemm(input.matrix(samples), weights, true, &mut output.matrix_mut(samples));
                }
            }
            if index + 1 < self.layers.len() {
                activate(index, output);
            }
        }
    }

    /// The logits of the last run, to be replaced by what follows from them.
    pub(super) fn logits(&mut self) -> &mut Rows {
        let last = self.outputs.len() - 1;
        &mut self.outputs[last]
    }
}

impl Layer {
    /// The layer's weights, one row per input.
    pub(super) fn weight_matrix<'a>(&self, parameters: &'a [f32]) -> Matrix<'a> {
        Matrix::new(&parameters[self.weights.clone()], self.inputs, self.outputs)
    }
}
