//! Dense products, on the crate `matrixmultiply`.

/// A borrowed matrix, in place or transposed.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

/// A borrowed row-major matrix to write to.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    values: &'a mut [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
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

/// `c = a·b + beta·c`. With `beta` zero, what `c` held is not read.
///
/// # Panics
/// If the shapes do not fit together.
#[expect(
    unsafe_code,
    clippy::cast_possible_wrap,
    reason = "matrixmultiply takes raw pointers; the constructors checked the bounds and the casts"
)]
pub fn gemm(a: Matrix<'_>, b: Matrix<'_>, beta: f32, c: &mut MatrixMut<'_>) {
    assert!(
        a.columns == b.rows && a.rows == c.rows && b.columns == c.columns,
        "{}×{} times {}×{} is no {}×{}",
        a.rows,
        a.columns,
        b.rows,
        b.columns,
        c.rows,
        c.columns
    );
    // SAFETY: the constructors checked that every element that the shape and the strides
    // reach lies within the slice, transposing swaps both together, the shapes fit, and
    // `c`, borrowed mutably, overlaps neither operand nor itself.
    unsafe {
        matrixmultiply::sgemm(
            a.rows,
            a.columns,
            b.columns,
            1.0,
            a.values.as_ptr(),
            a.row_stride as isize,
            a.column_stride as isize,
            b.values.as_ptr(),
            b.row_stride as isize,
            b.column_stride as isize,
            beta,
            c.values.as_mut_ptr(),
            c.row_stride as isize,
            1,
        );
    }
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

    #[test]
    #[should_panic(expected = "2×3 times 2×3 is no 2×3")]
    fn shapes_that_do_not_fit_are_refused() {
        let a = Matrix::new(&[0.0; 6], 2, 3);
        gemm(a, a, 0.0, &mut MatrixMut::new(&mut [0.0; 6], 2, 3));
    }
}
