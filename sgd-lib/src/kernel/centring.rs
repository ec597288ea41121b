//! The gradient of a layer with centred inputs, from the one with the inputs as they are.

use super::simd::{fma, multiversion};

multiversion! {
    /// With `sums` = the gradient in the biases: each row i of `weights` that is not all zero becomes
    /// `row − means[i] · sums`, and then `biases −= means[i] · row`. Rows are as long as `sums`.
    fn centre(means: &[f32], sums: &[f32], weights: &mut [f32], biases: &mut [f32]) = centre_all
}

#[inline(always)]
fn centre_all<const SIMD: u8>(means: &[f32], sums: &[f32], weights: &mut [f32], biases: &mut [f32]) {
    for (row, &mean) in weights.chunks_exact_mut(sums.len()).zip(means) {
        // Two rows in three are all zero, and most others have something in their first values.
        if mean == 0.0 || row.iter().all(|&value| value == 0.0) {
            continue;
        }
        for ((value, &sum), bias) in row.iter_mut().zip(sums).zip(biases.iter_mut()) {
            *value = fma::<SIMD>(-mean, sum, *value);
            *bias = fma::<SIMD>(-mean, *value, *bias);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Simd;
    use super::*;

    #[test]
    fn rows_of_zeros_and_means_of_zero_are_left_alone() {
        for simd in Simd::available() {
            let (mut weights, mut biases) = ([1.0, 2.0, 0.0, 0.0, 3.0, 4.0], [1.0, 10.0]);
            centre(simd, &[0.5, 0.5, 0.0], &[1.0, 10.0], &mut weights, &mut biases);
            assert_eq!(weights, [0.5, -3.0, 0.0, 0.0, 3.0, 4.0]);
            assert_eq!(biases, [0.75, 11.5]);
        }
    }
}
