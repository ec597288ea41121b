//! A scale of four bytes a row, then one byte a value: value ≈ scale × byte, byte in -127..=127.

use super::CodecError;
use super::rows::RowCodec;
use crate::kernel::{Simd, dequantise_add, quantise};

pub(super) struct Int8;

const SCALE_BYTES: usize = 4;
/// Largest byte.
const LEVELS: f32 = 127.0;
/// A smaller scale would have too few bits itself; values below half of it are rounded away.
const MIN_SCALE: f32 = f32::MIN_POSITIVE;
/// A larger scale could decode to infinity.
const MAX_SCALE: f32 = f32::MAX / 128.0;

impl RowCodec for Int8 {
    fn row_bytes(length: usize) -> usize {
        SCALE_BYTES + length
    }

    fn encode(simd: Simd, row: &[f32], magnitude: f32, decoded: &mut [f32], bytes: &mut [u8]) {
        let Some((scale_bytes, bytes)) = bytes.split_first_chunk_mut::<SCALE_BYTES>() else { return };
        let scale = scale_for(magnitude);
        *scale_bytes = scale.to_le_bytes();
        quantise(simd, scale, row, decoded, bytes);
    }

    fn check(bytes: &[u8], row: usize, _start: usize) -> Result<(), CodecError> {
        check_scale(scale(bytes), row).map(drop)
    }

    fn add(simd: Simd, bytes: &[u8], sum: &mut [f32]) {
        dequantise_add(simd, scale(bytes), &bytes[SCALE_BYTES..], sum);
    }
}

/// The scale of values of which the largest is `magnitude`.
#[inline]
pub(super) fn scale_for(magnitude: f32) -> f32 {
    (magnitude / LEVELS).clamp(MIN_SCALE, MAX_SCALE)
}

/// The scale of row number `row`, if it is one that [`scale_for`] gives.
pub(super) fn check_scale(found: f32, row: usize) -> Result<f32, CodecError> {
    if (MIN_SCALE..=MAX_SCALE).contains(&found) { Ok(found) } else { Err(CodecError::Scale { row, found }) }
}

fn scale(bytes: &[u8]) -> f32 {
    bytes.first_chunk().map_or(f32::NAN, |scale| f32::from_le_bytes(*scale))
}
