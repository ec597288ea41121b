//! A whole parameter vector as bytes, exact: for snapshots and models.

use super::float32::{Float32, values};
use super::frame::{Frame, PARAMETERS};
use super::rows::{RowCodec, check_finite};
use super::{Codec, CodecError};

/// Header, `parameters` as little-endian f32 (bit for bit), checksum.
pub fn pack(parameters: &[f32]) -> Vec<u8> {
    let mut out = Vec::new();
    let frame =
        Frame { magic: PARAMETERS, codec: Codec::F32, bitmap: false, parameters: parameters.len() as u64 };
    frame.write(Float32::row_bytes(parameters.len()), &mut out, |content| {
        let (chunks, _) = content.as_chunks_mut();
        for (bytes, value) in chunks.iter_mut().zip(parameters) {
            *bytes = value.to_le_bytes();
        }
    });
    out
}

/// The vector that [`pack`] made `bytes` of, which must have `expected_len` values.
///
/// # Errors
/// The bytes are not such a vector, are damaged, or hold a value that is not finite.
pub fn unpack(bytes: &[u8], expected_len: usize) -> Result<Vec<f32>, CodecError> {
    let (frame, content) = Frame::read(bytes, PARAMETERS)?;
    if frame.codec != Codec::F32 {
        return Err(CodecError::Codec { found: frame.codec.number() });
    }
    if frame.bitmap {
        return Err(CodecError::Flags { found: 1 });
    }
    frame.check_parameters(expected_len)?;
    // Compared as a product that can't overflow, before anything is allocated.
    let wanted = (expected_len as u64).saturating_mul(4);
    if content.len() as u64 != wanted {
        return Err(CodecError::Length { found: content.len(), wanted });
    }
    let parameters: Vec<f32> = values(content).collect();
    check_finite(parameters.iter().copied(), 0)?;
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_comes_back_bit_for_bit() {
        let parameters = [0.1, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX];
        let unpacked = unpack(&pack(&parameters), 4).unwrap();
        assert_eq!(unpacked.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), parameters.map(f32::to_bits));
        assert_eq!(unpack(&pack(&[]), 0), Ok(Vec::new()));
    }

    #[test]
    fn golden_bytes() {
        let golden = b"DPPV\x01\x01\0\0\x02\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\0\0\x80\x3f\0\0\0\xc0";
        let packed = pack(&[1.0, -2.0]);
        assert_eq!(packed[..32], golden[..]);
        assert_eq!(packed[32..], crc32fast::hash(golden).to_le_bytes());
    }

    #[test]
    fn the_error_names_what_is_wrong() {
        let packed = pack(&[1.0, 2.0]);
        let error = |bytes: &[u8], length| unpack(bytes, length).unwrap_err().to_string();
        assert_eq!(error(&packed, 3), "2 parameters; the network has 3");
        assert_eq!(error(&packed, usize::MAX), format!("2 parameters; the network has {}", usize::MAX));
        assert_eq!(error(&packed[..27], 2), "27 bytes; even an empty payload has 28");
        assert_eq!(error(&packed[..33], 2), "5 bytes of content; 8 are wanted");
        assert_eq!(error(b"DPDLxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 2), "magic is \"DPDL\", not \"DPPV\"");
        assert_eq!(error(&pack(&[1.0, f32::INFINITY]), 2), "value 1 is inf; every value must be finite");
        for index in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[index] ^= 1;
            assert!(unpack(&damaged, 2).is_err(), "byte {index}");
        }
    }
}
