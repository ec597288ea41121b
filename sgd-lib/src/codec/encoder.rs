//! From a delta to bytes.

use super::float16::Float16;
use super::float32::Float32;
use super::frame::{DELTA, Frame};
use super::int8::Int8;
use super::rows::{RowCodec, bitmap_bytes, check_finite, check_length, magnitude, parameters, ranges};
use super::top_k::TopK;
use super::{Codec, CodecError};

/// Encodes deltas of one network with one codec; allocates only while it grows.
#[derive(Clone, Debug)]
pub struct Encoder {
    codec: Codec,
    rows: Vec<(usize, usize)>,
    parameters: usize,
    /// The bits of the largest absolute value of each row; 0: the row is left out.
    magnitudes: Vec<u32>,
    top_k: TopK,
}

impl Encoder {
    /// An encoder for flat vectors of these rows, runs of `(rows, row length)`.
    pub fn new(codec: Codec, rows: &[(usize, usize)]) -> Self {
        Self {
            codec,
            rows: rows.to_vec(),
            parameters: parameters(rows),
            magnitudes: Vec::new(),
            top_k: TopK::default(),
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
        self.measure(delta)?;
        match self.codec {
            Codec::F32 => self.write::<Float32>(delta, decoded, out),
            Codec::F16 => self.write::<Float16>(delta, decoded, out),
            Codec::Int8 => self.write::<Int8>(delta, decoded, out),
            Codec::TopK => {
                let frame = self.frame(false);
                let content = self.top_k.encode(&self.rows, &self.magnitudes, delta, decoded);
                frame.write(content.len(), out, |bytes| bytes.copy_from_slice(content));
            }
        }
        Ok(())
    }

    fn measure(&mut self, delta: &[f32]) -> Result<(), CodecError> {
        self.magnitudes.clear();
        for range in ranges(&self.rows) {
            let largest = magnitude(&delta[range.clone()]);
            if largest >= f32::INFINITY.to_bits() {
                check_finite(delta[range.clone()].iter().copied(), range.start)?;
            }
            self.magnitudes.push(largest);
        }
        Ok(())
    }

    fn write<C: RowCodec>(&self, delta: &[f32], decoded: &mut [f32], out: &mut Vec<u8>) {
        let bitmap = self.magnitudes.contains(&0);
        let bitmap_length = if bitmap { bitmap_bytes(self.magnitudes.len()) } else { 0 };
        let row_bytes: usize = ranges(&self.rows)
            .zip(&self.magnitudes)
            .filter(|(_, magnitude)| **magnitude > 0)
            .map(|(range, _)| C::row_bytes(range.len()))
            .sum();
        self.frame(bitmap).write(bitmap_length + row_bytes, out, |content| {
            let (bits, mut bytes) = content.split_at_mut(bitmap_length);
            self.write_bitmap(bits);
            for (range, &magnitude) in ranges(&self.rows).zip(&self.magnitudes) {
                let decoded = &mut decoded[range.clone()];
                if magnitude == 0 {
                    decoded.fill(0.0);
                    continue;
                }
                let (row, rest) = bytes.split_at_mut(C::row_bytes(range.len()));
                C::encode(&delta[range], f32::from_bits(magnitude), decoded, row);
                bytes = rest;
            }
        });
    }

    fn frame(&self, bitmap: bool) -> Frame {
        Frame { magic: DELTA, codec: self.codec, bitmap, parameters: self.parameters as u64 }
    }

    fn write_bitmap(&self, bits: &mut [u8]) {
        for (byte, rows) in bits.iter_mut().zip(self.magnitudes.chunks(8)) {
            *byte = rows.iter().rev().fold(0, |byte, &magnitude| byte << 1 | u8::from(magnitude > 0));
        }
    }
}
