//! From bytes into a sum.

use super::float16::Float16;
use super::float32::Float32;
use super::frame::{DELTA, Frame};
use super::int8::Int8;
use super::rows::{Present, RowCodec, check_length, parameters, ranges};
use super::{Codec, CodecError, top_k};
use crate::kernel::Simd;

/// Adds the delta in `payload`, whatever its codec, to the flat vector `sum` of these rows, runs of
/// `(rows, row length)`. Allocates nothing.
///
/// # Errors
/// `sum` does not have as many values as the rows, or the payload is not one that an
/// [`Encoder`](super::Encoder) for these rows wrote. Then `sum` has not changed.
pub fn decode_add(payload: &[u8], rows: &[(usize, usize)], sum: &mut [f32]) -> Result<(), CodecError> {
    decode(payload, rows, sum, false)
}

/// As [`decode_add`] to zeros, whatever `out` holds.
///
/// # Errors
/// As [`decode_add`].
pub fn decode_to(payload: &[u8], rows: &[(usize, usize)], out: &mut [f32]) -> Result<(), CodecError> {
    decode(payload, rows, out, true)
}

/// With `clear`, what `sum` held before does not count.
fn decode(payload: &[u8], rows: &[(usize, usize)], sum: &mut [f32], clear: bool) -> Result<(), CodecError> {
    let wanted = parameters(rows);
    check_length("the sum", sum.len(), wanted)?;
    let (frame, content) = Frame::read(payload, DELTA)?;
    frame.check_parameters(wanted)?;
    let (present, bytes) =
        if frame.bitmap { Present::split(content, ranges(rows).count())? } else { (Present::ALL, content) };
    match frame.codec {
        Codec::F32 => add_rows::<Float32>(present, bytes, rows, sum, clear),
        Codec::F16 => add_rows::<Float16>(present, bytes, rows, sum, clear),
        Codec::Int8 => add_rows::<Int8>(present, bytes, rows, sum, clear),
        Codec::TopK if frame.bitmap => Err(CodecError::Flags { found: 1 }),
        Codec::TopK => top_k::add(bytes, rows, sum, clear),
    }
}

fn add_rows<C: RowCodec>(
    present: Present<'_>,
    bytes: &[u8],
    rows: &[(usize, usize)],
    sum: &mut [f32],
    clear: bool,
) -> Result<(), CodecError> {
    let in_payload = || ranges(rows).enumerate().filter(|(row, _)| present.contains(*row));
    let wanted: usize = in_payload().map(|(_, range)| C::row_bytes(range.len())).sum();
    if bytes.len() != wanted {
        return Err(CodecError::Length { found: bytes.len(), wanted: wanted as u64 });
    }
    let mut rest = bytes;
    for (row, range) in in_payload() {
        let (bytes, tail) = rest.split_at(C::row_bytes(range.len()));
        C::check(bytes, row, range.start)?;
        rest = tail;
    }
    let simd = Simd::detect();
    rest = bytes;
    for (row, range) in ranges(rows).enumerate() {
        let sum = &mut sum[range];
        // While the row is in the cache.
        if clear {
            sum.fill(0.0);
        }
        if present.contains(row) {
            let (bytes, tail) = rest.split_at(C::row_bytes(sum.len()));
            C::add(simd, bytes, sum);
            rest = tail;
        }
    }
    Ok(())
}
