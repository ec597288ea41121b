//! The gradient of a layer with centred inputs, from the one with the inputs as they are.

#[cfg(target_arch = "x86_64")]
use super::simd::{AVX2, AVX512};
use super::simd::{LANES, multiversion};
#[cfg(target_arch = "x86_64")]
use super::vector::{Avx2, Avx512};
use super::vector::{Portable, Vector};

multiversion! {
    /// With `sums` = the gradient in the biases: each row i of `weights` that is not all zero becomes
    /// `row − means[i] · sums`, and then `biases −= means[i] · row`. Rows are as long as `sums`.
    fn centre(means: &[f32], sums: &[f32], weights: &mut [f32], biases: &mut [f32]) = centre_all
}

#[inline(always)]
fn centre_all<const SIMD: u8>(means: &[f32], sums: &[f32], weights: &mut [f32], biases: &mut [f32]) {
    match SIMD {
        #[cfg(target_arch = "x86_64")]
        AVX512 => by_columns::<Avx512>(means, sums, weights, biases),
        #[cfg(target_arch = "x86_64")]
        AVX2 => by_columns::<Avx2>(means, sums, weights, biases),
        _ => by_columns::<Portable>(means, sums, weights, biases),
    }
}

/// As many columns at a time as there are registers for their sums and biases.
#[inline(always)]
fn by_columns<T: Vector>(means: &[f32], sums: &[f32], weights: &mut [f32], biases: &mut [f32]) {
    let (width, mut column) = (sums.len(), 0);
    while column < width {
        let (sums, biases) = (&sums[column..], &mut biases[column..width]);
        column += match (T::REGISTERS, (width - column).div_ceil(LANES)) {
            (28, 7..) => columns::<T, 7>(means, sums, weights, biases, column),
            (28, 4..) => columns::<T, 4>(means, sums, weights, biases, column),
            (_, 2..) => columns::<T, 2>(means, sums, weights, biases, column),
            _ => columns::<T, 1>(means, sums, weights, biases, column),
        };
    }
}

/// Up to `V` vectors of each row, those from `column` on. Returns how many columns they are.
#[inline(always)]
fn columns<T: Vector, const V: usize>(
    means: &[f32],
    sums: &[f32],
    weights: &mut [f32],
    biases: &mut [f32],
    column: usize,
) -> usize {
    let used = biases.len().min(V * LANES);
    let (sums, mut totals) = (load::<T, V>(&sums[..used]), load::<T, V>(&biases[..used]));
    for (row, &mean) in weights.chunks_exact_mut(column + biases.len()).zip(means) {
        if mean == 0.0 || is_blank(row) {
            continue;
        }
        let (row, factor) = (&mut row[column..][..used], T::splat(-mean));
        let mut values = load::<T, V>(row);
        for v in 0..V {
            values[v] = values[v].add_scaled(factor, sums[v]);
            totals[v] = totals[v].add_scaled(factor, values[v]);
        }
        store(&values, row);
    }
    store(&totals, &mut biases[..used]);
    used
}

/// Whether a row is all zeros, which is rare where its first value is not.
#[inline(always)]
fn is_blank(row: &[f32]) -> bool {
    // All bits but the signs'.
    row[0] == 0.0 && row.iter().fold(0, |bits, value| bits | value.to_bits() << 1) == 0
}

/// Where the vector number `v` of `length` values begins, at least a vector's: the last one overlaps the one before
/// where they are no whole vectors. (A mask would do too, but what was stored under one is slow to load.)
#[inline(always)]
fn start(v: usize, length: usize) -> usize {
    (v * LANES).min(length - LANES)
}

/// `V` vectors of up to as many values.
#[inline(always)]
fn load<T: Vector, const V: usize>(values: &[f32]) -> [T; V] {
    let mut vectors = [T::splat(0.0); V];
    if values.len() < LANES {
        vectors[0] = T::load_first(values);
        return vectors;
    }
    for v in 0..V {
        if let Some(source) = values[start(v, values.len())..].first_chunk() {
            vectors[v] = T::load(source);
        }
    }
    vectors
}

/// The way back.
#[inline(always)]
fn store<T: Vector, const V: usize>(vectors: &[T; V], values: &mut [f32]) {
    let length = values.len();
    if length < LANES {
        vectors[0].store_first(values);
        return;
    }
    for v in 0..V {
        if let Some(target) = values[start(v, length)..].first_chunk_mut() {
            vectors[v].store(target);
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
