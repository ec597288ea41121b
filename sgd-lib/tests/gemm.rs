//! Dense products against naive loops, over odd sizes, strides and transpositions.

use proptest::prelude::*;
use sgd_lib::kernel::{Matrix, MatrixMut, gemm};

fn values(count: usize, phase: f32) -> Vec<f32> {
    (0..count).map(|index| (index as f32 * 0.61 + phase).sin()).collect()
}

/// `rows × columns` values with `gap` values between rows, stored transposed or not.
struct Stored {
    values: Vec<f32>,
    rows: usize,
    columns: usize,
    gap: usize,
    transposed: bool,
}

impl Stored {
    fn new(rows: usize, columns: usize, gap: usize, transposed: bool, phase: f32) -> Self {
        let (outer, inner) = if transposed { (columns, rows) } else { (rows, columns) };
        Self { values: values(outer * (inner + gap), phase), rows, columns, gap, transposed }
    }

    fn matrix(&self) -> Matrix<'_> {
        if self.transposed {
            Matrix::strided(&self.values, self.columns, self.rows, self.rows + self.gap).transposed()
        } else {
            Matrix::strided(&self.values, self.rows, self.columns, self.columns + self.gap)
        }
    }

    fn get(&self, row: usize, column: usize) -> f64 {
        let index = if self.transposed {
            column * (self.rows + self.gap) + row
        } else {
            row * (self.columns + self.gap) + column
        };
        f64::from(self.values[index])
    }
}

fn check(a: &Stored, b: &Stored, add: bool, gap: usize) {
    let (m, k, n) = (a.rows, a.columns, b.columns);
    let before = values(m * (n + gap), 2.0);
    let mut after = before.clone();
    gemm(a.matrix(), b.matrix(), add, &mut MatrixMut::strided(&mut after, m, n, n + gap));
    for (index, (&after, &before)) in after.iter().zip(&before).enumerate() {
        let (row, column) = (index / (n + gap), index % (n + gap));
        if column >= n {
            assert_eq!(after, before, "the gap between rows was written to");
            continue;
        }
        let product: f64 = (0..k).map(|i| a.get(row, i) * b.get(i, column)).sum();
        let exact = product + if add { f64::from(before) } else { 0.0 };
        assert!((f64::from(after) - exact).abs() < 1e-4, "{after} instead of {exact} at {row}, {column}");
    }
}

#[test]
fn odd_sizes() {
    for m in [1, 2, 3, 5, 17, 32] {
        for k in [0, 1, 2, 7, 33, 113, 230] {
            for n in [1, 2, 9, 16, 47, 64, 100, 140] {
                for add in [false, true] {
                    check(&Stored::new(m, k, 0, false, 0.0), &Stored::new(k, n, 0, false, 1.0), add, 0);
                }
            }
        }
    }
}

#[test]
fn what_the_result_held_is_not_read_unless_it_is_added_to() {
    let mut c = [f32::NAN; 1];
    gemm(Matrix::new(&[2.0], 1, 1), Matrix::new(&[3.0], 1, 1), false, &mut MatrixMut::new(&mut c, 1, 1));
    assert_eq!(c, [6.0]);
}

proptest! {
    #[test]
    fn any_shape_and_stride(
        (m, k, n) in (0usize..40, 0usize..130, 0usize..90),
        (gap_a, gap_b, gap_c) in (0usize..4, 0usize..4, 1usize..4),
        (transposed_a, transposed_b) in any::<(bool, bool)>(),
        add in any::<bool>(),
    ) {
        let a = Stored::new(m, k, gap_a, transposed_a, 0.0);
        let b = Stored::new(k, n, gap_b, transposed_b, 1.0);
        check(&a, &b, add, gap_c);
    }
}
