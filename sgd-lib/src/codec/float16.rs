//! Two bytes a value: IEEE 754 half precision, ties to even, subnormals kept, saturated at ±65504.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::CodecError;
use super::rows::{RowCodec, check_finite};
use crate::kernel::Simd;

pub(super) struct Float16;

const WIDTH: usize = 2;
/// Values converted at a time, on the stack: `half` converts slices with F16C where the processor has it.
const CHUNK: usize = 64;

impl RowCodec for Float16 {
    fn row_bytes(length: usize) -> usize {
        length * WIDTH
    }

    fn encode(_simd: Simd, row: &[f32], _magnitude: f32, decoded: &mut [f32], bytes: &mut [u8]) {
        let limit = f16::MAX.to_f32();
        let (bytes, _) = bytes.as_chunks_mut::<WIDTH>();
        let mut halves = [f16::ZERO; CHUNK];
        for ((row, decoded), bytes) in
            row.chunks(CHUNK).zip(decoded.chunks_mut(CHUNK)).zip(bytes.chunks_mut(CHUNK))
        {
            let halves = &mut halves[..row.len()];
            for (value, clamped) in row.iter().zip(decoded.iter_mut()) {
                *clamped = value.clamp(-limit, limit);
            }
            halves.convert_from_f32_slice(decoded);
            for (half, bytes) in halves.iter().zip(bytes) {
                *bytes = half.to_le_bytes();
            }
            widen(halves, decoded);
        }
    }

    fn check(bytes: &[u8], _row: usize, start: usize) -> Result<(), CodecError> {
        let (halves, _) = bytes.as_chunks::<WIDTH>();
        let largest =
            halves.iter().fold(0, |largest, bytes| largest.max(i16::from_le_bytes(*bytes) & i16::MAX));
        if largest < f16::INFINITY.to_bits().cast_signed() {
            return Ok(());
        }
        check_finite(halves.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()), start)
    }

    fn add(_simd: Simd, bytes: &[u8], sum: &mut [f32]) {
        let (bytes, _) = bytes.as_chunks::<WIDTH>();
        let (mut halves, mut values) = ([f16::ZERO; CHUNK], [0.0; CHUNK]);
        for (bytes, sum) in bytes.chunks(CHUNK).zip(sum.chunks_mut(CHUNK)) {
            let (halves, values) = (&mut halves[..bytes.len()], &mut values[..bytes.len()]);
            for (half, bytes) in halves.iter_mut().zip(bytes) {
                *half = f16::from_le_bytes(*bytes);
            }
            widen(halves, values);
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum += *value;
            }
        }
    }
}

/// What is added for these halves: -0.0, which small negative values round to, as 0.0.
fn widen(halves: &[f16], values: &mut [f32]) {
    halves.convert_to_f32_slice(values);
    for value in values {
        *value += 0.0;
    }
}
