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
    /// Multiplies the first `count` rows by `factor` and sets the row behind them to their sum. The padding of all
    /// of them becomes zero.
    fn scale_and_sum(factor: f32, count: usize, rows: &mut Rows) = scale_and_sum_all
}

#[inline(always)]
fn scale_and_sum_all<const SIMD: u8>(factor: f32, count: usize, rows: &mut Rows) {
    let (width, stride) = (rows.width(), rows.stride());
    let (rows, sums) = rows.padded_mut(count + 1).split_at_mut(count * stride);
    sums.fill(0.0);
    for row in rows.chunks_exact_mut(stride) {
        row[width..].fill(0.0);
        for (sum, value) in sums.iter_mut().zip(row) {
            *value *= factor;
            *sum += *value;
        }
    }
}

multiversion! {
    /// Sets `sums` to the sum of the first rows, each times its factor.
    fn weighted_sum(factors: &[f32], rows: &Rows, sums: &mut [f32]) = weighted_sum_all
}

#[inline(always)]
fn weighted_sum_all<const SIMD: u8>(factors: &[f32], rows: &Rows, sums: &mut [f32]) {
    sums.fill(0.0);
    for (row, &factor) in rows.iter(factors.len()).zip(factors) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum = fma::<SIMD>(factor, value, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Simd;
    use super::*;

    #[test]
    fn rows_are_multiplied_scaled_and_summed() {
        for simd in Simd::available() {
            for width in [1, 7, 16, 33] {
                let row: Vec<f32> = (0..width).map(|i| i as f32).collect();
                let (mut values, mut factors) = (Rows::new(4, width), Rows::new(4, width));
                values.padded_mut(4).fill(9.0);
                values.fill(3, &row);
                factors.fill(3, &row);
                multiply(simd, 3, &factors, &mut values);
                scale_and_sum(simd, -0.5, 3, &mut values);
                let is = |found: &[f32], factor: f32| {
                    found
                        .iter()
                        .enumerate()
                        .all(|(i, &x)| x == if i < width { factor * (i * i) as f32 } else { 0.0 })
                };
                let stride = values.stride();
                assert!(values.padded(3).chunks(stride).all(|row| is(row, -0.5)), "{simd:?}");
                assert!(is(&values.padded(4)[3 * stride..], -1.5), "{simd:?}");
                let mut sums = vec![9.0; width];
                weighted_sum(simd, &[2.0, 0.0, 4.0, -1.0], &values, &mut sums);
                assert!(is(&sums, -1.5), "{simd:?}");
            }
        }
    }
}
