//! The dense products of a training step alone, by each crate.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::shape::{Product, Shape};

/// A crate that multiplies matrices, with one thread and the best instructions that it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Multiplier {
    Matrixmultiply,
    Gemm,
    Faer,
}

impl Multiplier {
    pub(super) const ALL: [Self; 3] = [Self::Matrixmultiply, Self::Gemm, Self::Faer];
}

/// A row-major matrix, or the transpose of one.
#[derive(Clone, Copy)]
struct Operand<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    strides: (isize, isize),
}

impl<'a> Operand<'a> {
    fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "values of a matrix of {rows} × {columns}");
        Self { values, rows, columns, strides: (columns.cast_signed(), 1) }
    }

    fn transposed(self) -> Self {
        let Self { values, rows, columns, strides: (row, column) } = self;
        Self { values, rows: columns, columns: rows, strides: (column, row) }
    }
}

/// Operands and results of a step's products.
pub(super) struct Bare {
    shape: Shape,
    multiplier: Multiplier,
    widths: Vec<usize>,
    /// By layer: what goes in; last, what comes out.
    activations: Vec<Vec<f32>>,
    /// The gradients in them.
    deltas: Vec<Vec<f32>>,
    weights: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
}

impl Bare {
    pub(super) fn new(shape: Shape, multiplier: Multiplier) -> Self {
        let widths = shape.widths();
        let waves = |count: usize| (0..count).map(|i| (i as f32 * 0.37).sin() * 0.1).collect::<Vec<_>>();
        let rows: Vec<_> = widths.iter().map(|width| waves(shape.batch * width)).collect();
        let weights: Vec<_> = widths.windows(2).map(|pair| waves(pair[0] * pair[1])).collect();
        Self {
            shape,
            multiplier,
            widths,
            activations: rows.clone(),
            deltas: rows,
            gradients: weights.clone(),
            weights,
        }
    }

    /// All products of one step.
    pub(super) fn step(&mut self) {
        for product in self.shape.products() {
            self.multiply(product);
        }
    }

    fn multiply(&mut self, product: Product) {
        let (batch, by) = (self.shape.batch, self.multiplier);
        let (Product::Forward(layer) | Product::Weights(layer) | Product::Delta(layer)) = product;
        let (inputs, outputs) = (self.widths[layer], self.widths[layer + 1]);
        let weights = Operand::new(&self.weights[layer], inputs, outputs);
        match product {
            Product::Forward(_) => {
                let (before, after) = self.activations.split_at_mut(layer + 1);
                // The biases.
                after[0].fill(0.1);
                by.multiply(Operand::new(&before[layer], batch, inputs), weights, true, &mut after[0]);
            }
            Product::Weights(_) => {
                let images = Operand::new(&self.activations[layer], batch, inputs).transposed();
                let delta = Operand::new(&self.deltas[layer + 1], batch, outputs);
                by.multiply(images, delta, false, &mut self.gradients[layer]);
            }
            Product::Delta(_) => {
                let (before, after) = self.deltas.split_at_mut(layer + 1);
                let delta = Operand::new(&after[0], batch, outputs);
                by.multiply(delta, weights.transposed(), false, &mut before[layer]);
            }
        }
    }
}

impl Multiplier {
    /// `c = a·b`, or with `add` `c += a·b`; `c` is row-major.
    #[expect(
        unsafe_code,
        reason = "two of the crates take pointers; the assertion and `Operand` checked the bounds"
    )]
    fn multiply(self, a: Operand<'_>, b: Operand<'_>, add: bool, c: &mut [f32]) {
        let (m, k, n) = (a.rows, a.columns, b.columns);
        assert!(b.rows == k && c.len() == m * n, "{m} × {k} times {} × {n}", b.rows);
        let (at, bt, stride) = (a.strides, b.strides, n.cast_signed());
        let (a, b, to) = (a.values.as_ptr(), b.values.as_ptr(), c.as_mut_ptr());
        let beta = f32::from(u8::from(add));
        // SAFETY: `Operand` holds exactly rows × columns values at these strides, transposing swaps both, the
        // shapes fit, and `c`, borrowed mutably, overlaps neither operand.
        unsafe {
            match self {
                Self::Matrixmultiply => {
                    matrixmultiply::sgemm(m, k, n, 1.0, a, at.0, at.1, b, bt.0, bt.1, beta, to, stride, 1);
                }
                Self::Gemm => {
                    let alone = gemm::Parallelism::None;
                    gemm::gemm(
                        m, n, k, to, 1, stride, add, a, at.1, at.0, b, bt.1, bt.0, 1.0, 1.0, false, false,
                        false, alone,
                    );
                }
                Self::Faer => {
                    let a = MatRef::from_raw_parts(a, m, k, at.0, at.1);
                    let b = MatRef::from_raw_parts(b, k, n, bt.0, bt.1);
                    let c = MatMut::from_raw_parts_mut(to, m, n, stride, 1);
                    matmul(c, if add { Accum::Add } else { Accum::Replace }, a, b, 1.0, Par::Seq);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_crates_compute_the_same() {
        let shape = Shape { batch: 5, width: 9, depth: 2 };
        let results = Multiplier::ALL.map(|multiplier| {
            let mut bare = Bare::new(shape, multiplier);
            bare.step();
            [bare.activations, bare.gradients, bare.deltas].concat().concat()
        });
        assert!(results[0].iter().any(|&value| value.abs() > 0.2));
        for other in &results[1..] {
            assert!(results[0].iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }
}
