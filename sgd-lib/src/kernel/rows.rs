//! A row-major matrix whose rows are padded to whole vectors.

use std::ops::Range;

use super::matrix::{Matrix, MatrixMut};
use super::simd::LANES;

/// Bytes of a cache line, and of the widest vector: rows start on such a boundary, as a
/// vector that straddles two lines costs two loads.
const ALIGNMENT: usize = 64;

/// `rows × width` values; each row is followed by padding up to a whole number of
/// vectors. The padding holds any values: no result may depend on it.
#[derive(Debug)]
pub(crate) struct Rows {
    values: Vec<f32>,
    /// Where the first row starts in `values`, so that it is aligned. `values` never grows.
    start: usize,
    width: usize,
    stride: usize,
}

impl Rows {
    /// Zeros.
    pub(crate) fn new(rows: usize, width: usize) -> Self {
        let stride = width.next_multiple_of(LANES);
        let slack = ALIGNMENT / size_of::<f32>();
        let values = vec![0.0f32; rows * stride + slack];
        // Not aligning is allowed and only slower.
        let start = values.as_ptr().align_offset(ALIGNMENT).min(slack);
        Self { values, start, width, stride }
    }

    /// Values per row, padding aside.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Values per row, padding included.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The first `rows` rows with their padding, one after the other.
    pub(crate) fn padded(&self, rows: usize) -> &[f32] {
        &self.values[self.start..][..rows * self.stride]
    }

    /// The same, to write to.
    pub(crate) fn padded_mut(&mut self, rows: usize) -> &mut [f32] {
        &mut self.values[self.start..][..rows * self.stride]
    }

    /// The first `rows` rows, each without its padding.
    pub(crate) fn iter(&self, rows: usize) -> impl Iterator<Item = &[f32]> {
        self.padded(rows).chunks_exact(self.stride).map(|row| &row[..self.width])
    }

    /// The row with this number, without its padding.
    pub(crate) fn row(&self, number: usize) -> &[f32] {
        &self.padded(number + 1)[number * self.stride..][..self.width]
    }

    /// Sets each of the first `rows` rows to `row`.
    pub(crate) fn fill(&mut self, rows: usize, row: &[f32]) {
        let (width, stride) = (self.width, self.stride);
        for target in self.padded_mut(rows).chunks_exact_mut(stride) {
            target[..width].copy_from_slice(row);
        }
    }

    /// The first `rows` rows as an operand of a product.
    pub(crate) fn matrix(&self, rows: usize) -> Matrix<'_> {
        Matrix::strided(self.padded(rows), rows, self.width, self.stride)
    }

    /// Some columns of the first `rows` rows as an operand of a product.
    pub(crate) fn columns(&self, rows: usize, columns: Range<usize>) -> Matrix<'_> {
        let values = &self.padded(rows)[columns.start.min(rows * self.stride)..];
        Matrix::strided(values, rows, columns.len(), self.stride)
    }

    /// The first `rows` rows as the result of a product.
    pub(crate) fn matrix_mut(&mut self, rows: usize) -> MatrixMut<'_> {
        let (width, stride) = (self.width, self.stride);
        MatrixMut::strided(self.padded_mut(rows), rows, width, stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_and_aligned() {
        let mut rows = Rows::new(3, 5);
        assert_eq!((rows.width(), rows.stride()), (5, LANES));
        rows.fill(2, &[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(rows.padded(1).as_ptr().align_offset(ALIGNMENT), 0);
        assert_eq!(rows.iter(3).nth(1), Some(&[1.0, 2.0, 3.0, 4.0, 5.0][..]));
        assert_eq!(rows.iter(3).nth(2), Some(&[0.0; 5][..]));
    }
}
