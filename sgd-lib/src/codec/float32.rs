//! Four bytes a value: exact.

use super::CodecError;
use super::rows::{RowCodec, check_finite};
use crate::kernel::Simd;

pub(super) struct Float32;

const WIDTH: usize = 4;

impl RowCodec for Float32 {
    fn row_bytes(length: usize) -> usize {
        length * WIDTH
    }

    fn encode(_simd: Simd, row: &[f32], _magnitude: f32, decoded: &mut [f32], bytes: &mut [u8]) {
        let (bytes, _) = bytes.as_chunks_mut::<WIDTH>();
        for ((value, decoded), bytes) in row.iter().zip(decoded).zip(bytes) {
            // Turns -0.0 into 0.0, which is what adding it to zero gives.
            *decoded = value + 0.0;
            *bytes = decoded.to_le_bytes();
        }
    }

    fn check(bytes: &[u8], _row: usize, start: usize) -> Result<(), CodecError> {
        if largest(bytes) < f32::INFINITY.to_bits().cast_signed() {
            return Ok(());
        }
        check_finite(values(bytes), start)
    }

    fn add(_simd: Simd, bytes: &[u8], sum: &mut [f32]) {
        for (sum, value) in sum.iter_mut().zip(values(bytes)) {
            *sum += value;
        }
    }
}

/// The values in `bytes`, which need no alignment.
pub(super) fn values(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    let (values, _) = bytes.as_chunks::<WIDTH>();
    values.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

/// As [`magnitude`](crate::kernel::magnitude), of bytes.
fn largest(bytes: &[u8]) -> i32 {
    values(bytes).fold(0, |largest, value| largest.max(value.abs().to_bits().cast_signed()))
}
