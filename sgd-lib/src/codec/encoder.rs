//! From a delta to bytes.

use std::ops::Range;

use super::float16::Float16;
use super::float32::Float32;
use super::frame::{DELTA, Frame};
use super::int8::Int8;
use super::rows::{RowCodec, bitmap_bytes, check_finite, check_length, parameters, ranges};
use super::top_k::TopK;
use super::{Codec, CodecError};
use crate::kernel::{Simd, magnitude};

/// Encodes deltas of one network with one codec; allocates only while it grows.
#[derive(Clone, Debug)]
pub struct Encoder {
    codec: Codec,
    rows: Vec<(usize, usize)>,
    parameters: usize,
    /// The bits of the largest absolute value of each row; 0: the row is left out.
    magnitudes: Vec<u32>,
    /// What will be decoded of a row.
    decoded: Vec<f32>,
    top_k: TopK,
    simd: Simd,
}

impl Encoder {
    /// An encoder for flat vectors of these rows, runs of `(rows, row length)`.
    pub fn new(codec: Codec, rows: &[(usize, usize)]) -> Self {
        Self {
            codec,
            rows: rows.to_vec(),
            parameters: parameters(rows),
            magnitudes: Vec::new(),
            decoded: vec![0.0; ranges(rows).map(|row| row.len()).max().unwrap_or(0)],
            top_k: TopK::default(),
            simd: Simd::detect(),
        }
    }

    /// Encodes `delta`, replacing whatever `out` holds, and writes to `decoded` exactly (bit for bit)
    /// what [`decode_add`](super::decode_add) will add to zeros: `delta` − `decoded` was not sent.
    ///
    /// # Errors
    /// `delta` or `decoded` does not have as many values as the rows, or a value is NaN or infinite.
    /// Then neither `decoded` nor `out` has changed.
    pub fn encode(
        &mut self,
        delta: &[f32],
        decoded: &mut [f32],
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        check_length("the delta", delta.len(), self.parameters)?;
        check_length("the buffer for the decoded delta", decoded.len(), self.parameters)?;
        self.encode_rows(&mut Given { delta, decoded }, out)
    }

    /// Encodes a delta that is made on the way, replacing whatever `out` holds.
    ///
    /// # Errors
    /// A value is NaN or infinite. Then `out` has not changed, and nothing was sent.
    pub(crate) fn encode_rows(
        &mut self,
        delta: &mut impl Delta,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        self.magnitudes.clear();
        for range in ranges(&self.rows) {
            let row = delta.make(range.clone());
            let largest = magnitude(self.simd, row);
            if largest >= f32::INFINITY.to_bits() {
                check_finite(row.iter().copied(), range.start)?;
            }
            self.magnitudes.push(largest);
        }
        match self.codec {
            Codec::F32 => self.write::<Float32>(delta, out),
            Codec::F16 => self.write::<Float16>(delta, out),
            Codec::Int8 => self.write::<Int8>(delta, out),
            Codec::TopK => {
                let frame = self.frame(false);
                let content = self.top_k.encode(&self.rows, &self.magnitudes, delta, &mut self.decoded);
                frame.write(content.len(), out, |bytes| bytes.copy_from_slice(content));
            }
        }
        Ok(())
    }

    fn write<C: RowCodec>(&mut self, delta: &mut impl Delta, out: &mut Vec<u8>) {
        let bitmap = self.magnitudes.contains(&0);
        let bitmap_length = if bitmap { bitmap_bytes(self.magnitudes.len()) } else { 0 };
        let row_bytes: usize = ranges(&self.rows)
            .zip(&self.magnitudes)
            .filter(|(_, magnitude)| **magnitude > 0)
            .map(|(range, _)| C::row_bytes(range.len()))
            .sum();
        let frame = self.frame(bitmap);
        let Self { rows, magnitudes, decoded, simd, .. } = self;
        frame.write(bitmap_length + row_bytes, out, |content| {
            let (bits, mut bytes) = content.split_at_mut(bitmap_length);
            write_bitmap(magnitudes, bits);
            for (range, &magnitude) in ranges(rows).zip(&*magnitudes) {
                let decoded = &mut decoded[..range.len()];
                if magnitude == 0 {
                    decoded.fill(0.0);
                } else {
                    let (row, rest) = bytes.split_at_mut(C::row_bytes(range.len()));
                    C::encode(*simd, delta.row(range.clone()), f32::from_bits(magnitude), decoded, row);
                    bytes = rest;
                }
                delta.sent(range, decoded);
            }
        });
    }

    fn frame(&self, bitmap: bool) -> Frame {
        Frame { magic: DELTA, codec: self.codec, bitmap, parameters: self.parameters as u64 }
    }
}

fn write_bitmap(magnitudes: &[u32], bits: &mut [u8]) {
    for (byte, rows) in bits.iter_mut().zip(magnitudes.chunks(8)) {
        *byte = rows.iter().rev().fold(0, |byte, &magnitude| byte << 1 | u8::from(magnitude > 0));
    }
}

/// A delta that is made, and taken from what is left, a row at a time, while the row is in the cache.
pub(crate) trait Delta {
    /// Makes the row that has this range of the values, and returns it. Each is made once, first to last.
    fn make(&mut self, row: Range<usize>) -> &[f32];

    /// A row that was made.
    fn row(&self, row: Range<usize>) -> &[f32];

    /// What the receivers will decode of a row. Comes once for each, first to last, when all were made.
    fn sent(&mut self, row: Range<usize>, decoded: &[f32]);
}

/// A delta that is there, and where to write what is decoded.
struct Given<'a> {
    delta: &'a [f32],
    decoded: &'a mut [f32],
}

impl Delta for Given<'_> {
    fn make(&mut self, row: Range<usize>) -> &[f32] {
        &self.delta[row]
    }

    fn row(&self, row: Range<usize>) -> &[f32] {
        &self.delta[row]
    }

    fn sent(&mut self, row: Range<usize>, decoded: &[f32]) {
        self.decoded[row].copy_from_slice(decoded);
    }
}
