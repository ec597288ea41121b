//! Borrowed matrices, as operands and results of dense products.

/// A borrowed matrix, in place or transposed.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

/// A borrowed row-major matrix to write to.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `rows × columns` values, row after row.
    ///
    /// # Panics
    /// If `values` is shorter.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// As [`Matrix::new`], with each row starting `stride` values after the one before.
    ///
    /// # Panics
    /// If `values` is too short, or rows would overlap.
    pub fn strided(values: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check(values.len(), rows, columns, stride);
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The transposed matrix; nothing is copied.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            values: self.values,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

impl<'a> MatrixMut<'a> {
    /// `rows × columns` values, row after row.
    ///
    /// # Panics
    /// If `values` is shorter.
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::strided(values, rows, columns, columns)
    }

    /// As [`MatrixMut::new`], with each row starting `stride` values after the one before.
    ///
    /// # Panics
    /// If `values` is too short, or rows would overlap.
    pub fn strided(values: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        check(values.len(), rows, columns, stride);
        Self { values, rows, columns, row_stride: stride }
    }
}

/// The last value of the last row lies within `length`, rows do not overlap, and
/// offsets fit the signed strides that the product takes.
fn check(length: usize, rows: usize, columns: usize, stride: usize) {
    assert!(columns <= stride, "rows of {columns} values overlap at a stride of {stride}");
    let needed = match rows {
        0 => Some(0),
        rows => (rows - 1).checked_mul(stride).and_then(|start| start.checked_add(columns)),
    };
    assert!(
        needed.is_some_and(|needed| needed <= length) && isize::try_from(stride).is_ok(),
        "{length} values are too few for {rows} rows of {columns} at a stride of {stride}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "5 values are too few for 2 rows of 3 at a stride of 3")]
    fn a_short_slice_is_refused() {
        Matrix::new(&[0.0; 5], 2, 3);
    }

    #[test]
    #[should_panic(expected = "too few")]
    fn a_shape_whose_size_overflows_is_refused() {
        Matrix::strided(&[0.0; 5], usize::MAX, 1, usize::MAX / 2);
    }
}
