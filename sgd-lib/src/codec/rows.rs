//! Rows of a flat vector, the bitmap of those present, and what a codec does with one row.

use std::ops::Range;

use super::CodecError;
use crate::kernel::Simd;

/// How one row is written and read back. `bytes` always has [`row_bytes`](Self::row_bytes) of the row's length.
pub(super) trait RowCodec {
    /// Bytes of a row of `length` values.
    fn row_bytes(length: usize) -> usize;

    /// Writes a row of finite values, the largest of them `magnitude` > 0, and what will be decoded.
    fn encode(simd: Simd, row: &[f32], magnitude: f32, decoded: &mut [f32], bytes: &mut [u8]);

    /// Checks that the row adds finite values only. It is row number `row`, from index `start` on.
    fn check(bytes: &[u8], row: usize, start: usize) -> Result<(), CodecError>;

    /// Adds a checked row to `sum`.
    fn add(simd: Simd, bytes: &[u8], sum: &mut [f32]);
}

/// The range of every row, first to last. Rows without values are none.
pub(super) fn ranges(rows: &[(usize, usize)]) -> impl Iterator<Item = Range<usize>> + '_ {
    let lengths = rows
        .iter()
        .filter(|(_, length)| *length > 0)
        .flat_map(|&(count, length)| std::iter::repeat_n(length, count));
    lengths.scan(0, |start, length| {
        let range = *start..*start + length;
        *start = range.end;
        Some(range)
    })
}

/// Values in all rows.
pub(super) fn parameters(rows: &[(usize, usize)]) -> usize {
    // Saturation is enough: no slice is that long, so the comparison with one fails.
    rows.iter().fold(0, |sum, &(count, length)| sum.saturating_add(count.saturating_mul(length)))
}

/// The vector `what` must have as many values as the rows.
pub(super) fn check_length(what: &'static str, found: usize, wanted: usize) -> Result<(), CodecError> {
    if found == wanted { Ok(()) } else { Err(CodecError::Vector { what, found, wanted }) }
}

/// The first value of `row` that is not finite, which starts at index `start` of the vector.
pub(super) fn check_finite(row: impl IntoIterator<Item = f32>, start: usize) -> Result<(), CodecError> {
    match row.into_iter().zip(start..).find(|(value, _)| !value.is_finite()) {
        Some((found, index)) => Err(CodecError::NotFinite { index, found }),
        None => Ok(()),
    }
}

/// Which rows a payload holds: those whose bit is set, or all.
#[derive(Clone, Copy)]
pub(super) struct Present<'a> {
    bits: Option<&'a [u8]>,
}

impl<'a> Present<'a> {
    /// Every row.
    pub(super) const ALL: Self = Self { bits: None };

    /// Splits the bitmap for `rows` rows off the content.
    pub(super) fn split(content: &'a [u8], rows: usize) -> Result<(Self, &'a [u8]), CodecError> {
        let length = bitmap_bytes(rows);
        let Some((bits, rest)) = content.split_at_checked(length) else {
            return Err(CodecError::Length { found: content.len(), wanted: length as u64 });
        };
        let used = rows % 8;
        if used > 0 && bits.last().is_some_and(|last| last >> used != 0) {
            return Err(CodecError::Bitmap { rows });
        }
        Ok((Self { bits: Some(bits) }, rest))
    }

    /// Whether the payload holds row number `row`.
    pub(super) fn contains(self, row: usize) -> bool {
        self.bits.is_none_or(|bits| bits[row / 8] >> (row % 8) & 1 == 1)
    }
}

/// Bytes of a bitmap for `rows` rows.
pub(super) fn bitmap_bytes(rows: usize) -> usize {
    rows.div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_tile_the_vector_and_leave_out_empty_rows() {
        let rows = [(2, 3), (usize::MAX, 0), (1, 2)];
        assert_eq!(ranges(&rows).collect::<Vec<_>>(), [0..3, 3..6, 6..8]);
        assert_eq!(parameters(&rows), 8);
        assert_eq!(parameters(&[(usize::MAX, 2)]), usize::MAX);
    }

    #[test]
    fn a_bit_beyond_the_last_row_is_refused() {
        assert!(Present::split(&[0b0000_0111], 3).is_ok());
        assert!(matches!(Present::split(&[0b0000_1000], 3), Err(CodecError::Bitmap { rows: 3 })));
        assert!(Present::split(&[0xff], 8).is_ok());
        assert!(matches!(Present::split(&[], 3), Err(CodecError::Length { found: 0, wanted: 1 })));
    }
}
