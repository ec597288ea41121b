//! What is varied: the minibatch and the network.

use std::iter;

/// Pixels of an image.
pub(super) const INPUTS: usize = 784;
/// Classes.
pub(super) const OUTPUTS: usize = 47;

/// A minibatch's size, and a network's hidden layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Samples of a minibatch.
    pub(super) batch: usize,
    /// Width of each hidden layer.
    pub(super) width: usize,
    /// Number of hidden layers.
    pub(super) depth: usize,
}

/// A dense product: `rows × inner` times `inner × columns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Product {
    /// What layer `l` puts out, added to its biases: activations × weights.
    Forward(usize),
    /// The gradient in layer `l`'s weights: activationsᵀ × deltas.
    Weights(usize),
    /// The gradient in what layer `l` is given: deltas × weightsᵀ.
    Delta(usize),
}

impl Shape {
    /// Width of the input, the hidden layers and the output.
    pub(super) fn widths(self) -> Vec<usize> {
        let hidden = iter::repeat_n(self.width, self.depth);
        iter::once(INPUTS).chain(hidden).chain([OUTPUTS]).collect()
    }

    /// The products of a training step, in their order. Nobody needs the gradient in the images.
    pub(super) fn products(self) -> Vec<Product> {
        let layers = self.depth + 1;
        let back = (0..layers).rev().flat_map(|layer| {
            iter::once(Product::Weights(layer)).chain((layer > 0).then_some(Product::Delta(layer)))
        });
        (0..layers).map(Product::Forward).chain(back).collect()
    }

    /// Floating-point operations of these products.
    pub(super) fn operations(self) -> f64 {
        let widths = self.widths();
        let of = |product: &Product| match *product {
            Product::Forward(l) | Product::Weights(l) | Product::Delta(l) => widths[l] * widths[l + 1],
        };
        2.0 * self.batch as f64 * self.products().iter().map(of).sum::<usize>() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_products_of_a_step() {
        use Product::{Delta, Forward, Weights};
        let shape = Shape { batch: 32, width: 100, depth: 1 };
        assert_eq!(shape.products(), [Forward(0), Forward(1), Weights(1), Delta(1), Weights(0)]);
        assert_eq!(shape.widths(), [784, 100, 47]);
        assert_eq!(shape.operations(), 2.0 * 32.0 * (2.0 * 78_400.0 + 3.0 * 4_700.0));
        assert_eq!(Shape { depth: 3, ..shape }.products().len(), 4 + 4 + 3);
    }
}
