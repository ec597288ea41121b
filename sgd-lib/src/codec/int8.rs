//! A scale of four bytes a row, then one byte a value: value ≈ scale × byte, byte in -127..=127.

use super::CodecError;
use super::rows::RowCodec;

pub(super) struct Int8;

const SCALE_BYTES: usize = 4;
/// Largest byte.
const LEVELS: f32 = 127.0;
/// A smaller scale would have too few bits itself; values below half of it are rounded away.
const MIN_SCALE: f32 = f32::MIN_POSITIVE;
/// A larger scale could decode to infinity.
const MAX_SCALE: f32 = f32::MAX / 128.0;
/// 1.5 × 2²³: adding it rounds to the nearest integer (ties to even), which then stands in the low
/// bits of the sum. Two additions, where `round` would be a call without SSE 4.1.
const ROUND: f32 = 12_582_912.0;

impl RowCodec for Int8 {
    fn row_bytes(length: usize) -> usize {
        SCALE_BYTES + length
    }

    fn encode(row: &[f32], magnitude: f32, decoded: &mut [f32], bytes: &mut [u8]) {
        let Some((scale_bytes, bytes)) = bytes.split_first_chunk_mut::<SCALE_BYTES>() else { return };
        let scale = scale_for(magnitude);
        let inverse = 1.0 / scale;
        *scale_bytes = scale.to_le_bytes();
        for ((value, decoded), out) in row.iter().zip(decoded).zip(bytes) {
            let rounded = quantise(*value, inverse);
            *out = byte(rounded);
            *decoded = dequantise(rounded, scale);
        }
    }

    fn check(bytes: &[u8], row: usize, _start: usize) -> Result<(), CodecError> {
        check_scale(scale(bytes), row).map(drop)
    }

    fn add(bytes: &[u8], sum: &mut [f32]) {
        let scale = scale(bytes);
        for (sum, byte) in sum.iter_mut().zip(&bytes[SCALE_BYTES..]) {
            *sum += f32::from(byte.cast_signed()) * scale;
        }
    }
}

/// The scale of values of which the largest is `magnitude`.
#[inline]
pub(super) fn scale_for(magnitude: f32) -> f32 {
    (magnitude / LEVELS).clamp(MIN_SCALE, MAX_SCALE)
}

/// A value in units of the scale, whose `inverse` is given, rounded: to be read by [`byte`] and [`dequantise`].
#[inline]
pub(super) fn quantise(value: f32, inverse: f32) -> f32 {
    (value * inverse).clamp(-LEVELS, LEVELS) + ROUND
}

/// What is written of a quantised value.
#[inline]
pub(super) fn byte(rounded: f32) -> u8 {
    rounded.to_bits() as u8
}

/// What the receiver makes of it.
#[inline]
pub(super) fn dequantise(rounded: f32, scale: f32) -> f32 {
    (rounded - ROUND) * scale
}

/// The scale of row number `row`, if it is one that [`scale_for`] gives.
pub(super) fn check_scale(found: f32, row: usize) -> Result<f32, CodecError> {
    if (MIN_SCALE..=MAX_SCALE).contains(&found) { Ok(found) } else { Err(CodecError::Scale { row, found }) }
}

fn scale(bytes: &[u8]) -> f32 {
    bytes.first_chunk().map_or(f32::NAN, |scale| f32::from_le_bytes(*scale))
}
