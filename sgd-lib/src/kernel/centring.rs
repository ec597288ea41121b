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
        // Most rows have something in their first value. Else: all bits but the signs'.
        let is_blank = row[0] == 0.0 && row.iter().fold(0, |bits, value| bits | value.to_bits() << 1) == 0;
        if mean == 0.0 || is_blank {
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
