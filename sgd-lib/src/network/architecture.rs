//! The shape of a network and where each layer's parameters lie in one flat vector.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A fully connected network: `inputs` – `hidden`… (tanh) – `outputs` (softmax).
///
/// Its parameters are one flat `f32` vector, layer after layer: the weights,
/// row-major with one row of `layer.outputs` values per input, then one row of biases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Widths")]
pub struct Architecture {
    inputs: usize,
    hidden: Vec<usize>,
    outputs: usize,
}

/// What stands in a store, which may be anything.
#[derive(Deserialize)]
struct Widths {
    inputs: usize,
    hidden: Vec<usize>,
    outputs: usize,
}

impl TryFrom<Widths> for Architecture {
    type Error = ArchitectureError;

    fn try_from(Widths { inputs, hidden, outputs }: Widths) -> Result<Self, ArchitectureError> {
        Self::new(inputs, &hidden, outputs)
    }
}

/// A network whose shape can't be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} is {found}; it must be between 1 and {limit}")]
pub struct ArchitectureError {
    what: &'static str,
    found: usize,
    limit: usize,
}

/// One dense layer: its width and the ranges of its parameters in the flat vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Width of the layer's input.
    pub inputs: usize,
    /// Width of the layer's output.
    pub outputs: usize,
    /// `inputs` × `outputs` weights, row-major: one row per input.
    pub weights: Range<usize>,
    /// `outputs` biases.
    pub biases: Range<usize>,
}

/// No layer is wider than this.
const MAX_WIDTH: usize = 1 << 16;
/// No network is deeper than this.
const MAX_HIDDEN_LAYERS: usize = 64;
/// No network has more parameters than this (1 GiB of f32).
const MAX_PARAMETERS: usize = 1 << 28;

impl Architecture {
    /// A network of these widths.
    ///
    /// # Errors
    /// A width of zero or above 65,536, more than 64 hidden layers, or more than 2²⁸ parameters.
    pub fn new(inputs: usize, hidden: &[usize], outputs: usize) -> Result<Self, ArchitectureError> {
        within("the number of hidden layers", hidden.len(), MAX_HIDDEN_LAYERS, 0)?;
        within("the input width", inputs, MAX_WIDTH, 1)?;
        within("the output width", outputs, MAX_WIDTH, 1)?;
        for &width in hidden {
            within("a hidden layer's width", width, MAX_WIDTH, 1)?;
        }
        let architecture = Self { inputs, hidden: hidden.to_vec(), outputs };
        within("the number of parameters", architecture.parameter_count(), MAX_PARAMETERS, 1)?;
        Ok(architecture)
    }

    /// Width of the input: pixels per image.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Widths of the hidden layers, first to last.
    pub fn hidden(&self) -> &[usize] {
        &self.hidden
    }

    /// Width of the output: number of classes.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Every dense layer, first to last.
    pub fn layers(&self) -> Vec<Layer> {
        let widths: Vec<usize> =
            [self.inputs].into_iter().chain(self.hidden.iter().copied()).chain([self.outputs]).collect();
        let mut offset = 0;
        widths
            .windows(2)
            .map(|pair| {
                let (inputs, outputs) = (pair[0], pair[1]);
                let weights = offset..offset + inputs * outputs;
                let biases = weights.end..weights.end + outputs;
                offset = biases.end;
                Layer { inputs, outputs, weights, biases }
            })
            .collect()
    }

    /// Length of the flat parameter vector.
    pub fn parameter_count(&self) -> usize {
        self.layers().last().map_or(0, |layer| layer.biases.end)
    }

    /// The flat vector as runs of equally long rows, `(rows, row length)`: what codecs
    /// scale and skip by. Each layer is one run of `inputs + 1` rows of `outputs` values.
    pub fn rows(&self) -> Vec<(usize, usize)> {
        self.layers().iter().map(|layer| (layer.inputs + 1, layer.outputs)).collect()
    }
}

fn within(what: &'static str, found: usize, limit: usize, least: usize) -> Result<(), ArchitectureError> {
    if (least..=limit).contains(&found) { Ok(()) } else { Err(ArchitectureError { what, found, limit }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_tile_the_flat_vector() {
        let network = Architecture::new(784, &[100], 47).unwrap();
        let layers = network.layers();
        assert_eq!(layers[0].weights, 0..78_400);
        assert_eq!(layers[0].biases, 78_400..78_500);
        assert_eq!(layers[1].biases.end, network.parameter_count());
        assert_eq!(network.parameter_count(), 83_247);
        assert_eq!(network.rows(), [(785, 100), (101, 47)]);
    }

    #[test]
    fn an_impossible_shape_does_not_come_out_of_a_store() {
        let written = |shape: &(usize, Vec<usize>, usize)| crate::state::encode("k", shape).unwrap();
        let read = |bytes: &[u8]| crate::state::decode::<Architecture>("k", bytes);
        let network = Architecture::new(784, &[100], 47).unwrap();
        assert_eq!(read(&written(&(784, vec![100], 47))).unwrap(), network);
        let error = read(&written(&(usize::MAX, vec![usize::MAX], 1))).unwrap_err().to_string();
        assert!(error.contains("the input width is 18446744073709551615"), "{error}");
    }

    #[test]
    fn impossible_shapes_are_refused() {
        assert!(Architecture::new(0, &[100], 47).is_err());
        assert!(Architecture::new(784, &[0], 47).is_err());
        let error = Architecture::new(784, &[70_000], 47).unwrap_err();
        assert_eq!(error.to_string(), "a hidden layer's width is 70000; it must be between 1 and 65536");
        assert!(Architecture::new(65_536, &[65_536], 47).is_err());
    }
}
