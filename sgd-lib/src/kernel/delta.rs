//! What a push and a fetch do to a worker's vectors, and the bytes of quantised values.

use super::simd::multiversion;

/// Largest byte of a quantised value.
const LEVELS: f32 = 127.0;
/// 1.5 × 2²³: adding it rounds to the nearest integer (ties to even), which then stands in the low
/// bits of the sum. Two additions, where `round` would be a call without SSE 4.1.
const ROUND: f32 = 12_582_912.0;

multiversion! {
    /// The bits of the largest absolute value. Bits of absolute values sort like the values, with
    /// infinities and NaNs on top, so one pass tells zero, largest and non-finite.
    fn magnitude(values: &[f32]) -> u32 = largest
}

#[inline(always)]
fn largest<const SIMD: u8>(values: &[f32]) -> u32 {
    // Signed, since SSE2 compares nothing else.
    values
        .iter()
        .fold(0_i32, |largest, value| largest.max(value.abs().to_bits().cast_signed()))
        .cast_unsigned()
}

multiversion! {
    /// `residue = held · residue + weight · (theta − base − kept · residue)`: what a push carries, where `kept` of
    /// the residue is in θ, and `held` of it is to be sent.
    fn difference(
        weight: f32,
        held: f32,
        kept: f32,
        theta: &[f32],
        base: &[f32],
        residue: &mut [f32],
    ) = difference_all
}

#[inline(always)]
fn difference_all<const SIMD: u8>(
    weight: f32,
    held: f32,
    kept: f32,
    theta: &[f32],
    base: &[f32],
    residue: &mut [f32],
) {
    for ((residue, theta), base) in residue.iter_mut().zip(theta).zip(base) {
        *residue = held * *residue + weight * (theta - base - kept * *residue);
    }
}

multiversion! {
    /// `residue −= decoded; base += decoded; theta = base + kept · residue`.
    fn follow(
        kept: f32,
        decoded: &[f32],
        residue: &mut [f32],
        base: &mut [f32],
        theta: &mut [f32],
    ) = follow_all
}

#[inline(always)]
fn follow_all<const SIMD: u8>(
    kept: f32,
    decoded: &[f32],
    residue: &mut [f32],
    base: &mut [f32],
    theta: &mut [f32],
) {
    for (((residue, base), theta), decoded) in residue.iter_mut().zip(base).zip(theta).zip(decoded) {
        *residue -= decoded;
        *base += decoded;
        *theta = *base + kept * *residue;
    }
}

multiversion! {
    /// `left += right`.
    fn add(left: &mut [f32], right: &[f32]) = add_all
}

#[inline(always)]
fn add_all<const SIMD: u8>(left: &mut [f32], right: &[f32]) {
    for (left, right) in left.iter_mut().zip(right) {
        *left += right;
    }
}

multiversion! {
    /// `left −= right`.
    fn subtract(left: &mut [f32], right: &[f32]) = subtract_all
}

#[inline(always)]
fn subtract_all<const SIMD: u8>(left: &mut [f32], right: &[f32]) {
    for (left, right) in left.iter_mut().zip(right) {
        *left -= right;
    }
}

multiversion! {
    /// Each value in units of `scale`, rounded to a byte, -127..=127; and what [`dequantise_add`] makes of it.
    fn quantise(scale: f32, values: &[f32], decoded: &mut [f32], bytes: &mut [u8]) = quantise_all
}

#[inline(always)]
fn quantise_all<const SIMD: u8>(scale: f32, values: &[f32], decoded: &mut [f32], bytes: &mut [u8]) {
    let inverse = 1.0 / scale;
    for ((value, decoded), byte) in values.iter().zip(decoded).zip(bytes) {
        let rounded = (value * inverse).clamp(-LEVELS, LEVELS) + ROUND;
        *byte = rounded.to_bits() as u8;
        *decoded = (rounded - ROUND) * scale;
    }
}

multiversion! {
    /// `sum += scale · byte`.
    fn dequantise_add(scale: f32, bytes: &[u8], sum: &mut [f32]) = dequantise_add_all
}

#[inline(always)]
fn dequantise_add_all<const SIMD: u8>(scale: f32, bytes: &[u8], sum: &mut [f32]) {
    for (sum, byte) in sum.iter_mut().zip(bytes) {
        // Not fused: it has to be what was subtracted by who quantised it, to the bit.
        *sum += f32::from(byte.cast_signed()) * scale;
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Simd;
    use super::*;

    #[test]
    fn magnitude_sorts_zero_subnormal_infinite_and_nan() {
        for simd in Simd::available() {
            assert_eq!(magnitude(simd, &[0.0, -0.0]), 0);
            assert_eq!(f32::from_bits(magnitude(simd, &[1e-45, -3.0, 2.0])), 3.0);
            assert!(magnitude(simd, &[f32::MAX]) < f32::INFINITY.to_bits());
            assert!(magnitude(simd, &[1.0, f32::NEG_INFINITY]) >= f32::INFINITY.to_bits());
            assert!(magnitude(simd, &[-f32::NAN, 1.0]) >= f32::INFINITY.to_bits());
        }
    }

    #[test]
    fn what_is_decoded_is_what_was_taken_to_the_bit() {
        let values: Vec<f32> = (0..100).map(|i| ((i * 37) % 101) as f32 * 0.013 - 0.6).collect();
        let scale = 0.7 / LEVELS;
        for simd in Simd::available() {
            let (mut decoded, mut bytes, mut sum) = ([0.0; 100], [0; 100], [0.0; 100]);
            quantise(simd, scale, &values, &mut decoded, &mut bytes);
            dequantise_add(simd, scale, &bytes, &mut sum);
            assert_eq!(decoded, sum);
            assert!(values.iter().zip(sum).all(|(value, sum)| (value - sum).abs() <= 0.5 * scale));
        }
    }

    #[test]
    fn a_push_moves_base_and_leaves_what_was_not_sent() {
        for simd in Simd::available() {
            let (mut theta, mut base, mut residue) = ([1.5; 33], [1.0; 33], [0.25; 33]);
            difference(simd, 0.5, 1.0, 0.0, &theta, &base, &mut residue);
            assert_eq!(residue, [0.5; 33]);
            follow(simd, 1.0, &[0.375; 33], &mut residue, &mut base, &mut theta);
            assert_eq!((residue, base, theta), ([0.125; 33], [1.375; 33], [1.5; 33]));
            add(simd, &mut base, &residue);
            subtract(simd, &mut theta, &residue);
            assert_eq!((base, theta), ([1.5; 33], [1.375; 33]));
        }
    }
}
