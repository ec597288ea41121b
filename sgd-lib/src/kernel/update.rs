//! Element-wise updates: what optimizers and the backward pass are made of.

use super::rows::Rows;
use super::simd::{fma, multiversion};

multiversion! {
    /// `parameters -= rate · gradient`.
    fn descend(rate: f32, gradient: &[f32], parameters: &mut [f32]) = descend_all
}

#[inline(always)]
fn descend_all<const SIMD: u8>(rate: f32, gradient: &[f32], parameters: &mut [f32]) {
    for (parameter, &gradient) in parameters.iter_mut().zip(gradient) {
        *parameter = fma::<SIMD>(-rate, gradient, *parameter);
    }
}

multiversion! {
    /// `velocity = decay · velocity + gradient; parameters -= rate · velocity`.
    fn momentum(rate: f32, decay: f32, gradient: &[f32], velocity: &mut [f32], parameters: &mut [f32]) = momentum_all
}

#[inline(always)]
fn momentum_all<const SIMD: u8>(
    rate: f32,
    decay: f32,
    gradient: &[f32],
    velocity: &mut [f32],
    parameters: &mut [f32],
) {
    for ((parameter, velocity), &gradient) in parameters.iter_mut().zip(velocity).zip(gradient) {
        *velocity = fma::<SIMD>(decay, *velocity, gradient);
        *parameter = fma::<SIMD>(-rate, *velocity, *parameter);
    }
}

multiversion! {
    /// `squares += gradient²; parameters -= rate · gradient / (√squares + epsilon)`.
    fn adagrad(rate: f32, epsilon: f32, gradient: &[f32], squares: &mut [f32], parameters: &mut [f32]) = adagrad_all
}

#[inline(always)]
fn adagrad_all<const SIMD: u8>(
    rate: f32,
    epsilon: f32,
    gradient: &[f32],
    squares: &mut [f32],
    parameters: &mut [f32],
) {
    for ((parameter, squares), &gradient) in parameters.iter_mut().zip(squares).zip(gradient) {
        *squares = fma::<SIMD>(gradient, gradient, *squares);
        *parameter = fma::<SIMD>(-rate, gradient / (squares.sqrt() + epsilon), *parameter);
    }
}

multiversion! {
    /// `values *= factors`, in the first `count` rows of both.
    fn multiply(count: usize, factors: &Rows, values: &mut Rows) = multiply_all
}

#[inline(always)]
fn multiply_all<const SIMD: u8>(count: usize, factors: &Rows, values: &mut Rows) {
    for (value, &factor) in values.padded_mut(count).iter_mut().zip(factors.padded(count)) {
        *value *= factor;
    }
}

multiversion! {
    /// Sets `sums` to the sum of the first `count` rows.
    fn sum_rows(count: usize, rows: &Rows, sums: &mut [f32]) = sum_rows_all
}

#[inline(always)]
fn sum_rows_all<const SIMD: u8>(count: usize, rows: &Rows, sums: &mut [f32]) {
    sums.fill(0.0);
    for row in rows.iter(count) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Simd;
    use super::*;

    #[test]
    fn rows_are_multiplied_and_summed() {
        for simd in Simd::available() {
            for width in [1, 7, 16, 33] {
                let row: Vec<f32> = (0..width).map(|i| i as f32).collect();
                let (mut values, mut factors) = (Rows::new(4, width), Rows::new(4, width));
                values.fill(4, &row);
                factors.fill(4, &row);
                multiply(simd, 3, &factors, &mut values);
                let mut sums = vec![9.0; width];
                sum_rows(simd, 3, &values, &mut sums);
                assert!(sums.iter().zip(&row).all(|(&sum, &x)| sum == 3.0 * x * x));
                assert_eq!(values.iter(4).nth(3), Some(&row[..]));
            }
        }
    }
}
