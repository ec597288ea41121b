//! What stands around every payload, little-endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | magic: `DPDL` for a delta, `DPPV` for a parameter vector |
//! | 4 | version of this format |
//! | 5 | number of the codec |
//! | 6 | flags: bit 0 = the content starts with a bitmap of the rows present |
//! | 7 | zero |
//! | 8–15 | number of parameters |
//! | 16–23 | length of the content |
//! | 24–… | content |
//! | last 4 | CRC32 of all bytes before |

use super::{Codec, CodecError};

const VERSION: u8 = 1;
const HEADER: usize = 24;
const CHECKSUM: usize = 4;

/// A delta between two pushes.
pub(super) const DELTA: [u8; 4] = *b"DPDL";
/// A whole parameter vector.
pub(super) const PARAMETERS: [u8; 4] = *b"DPPV";

/// A checked frame, or one to write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) magic: [u8; 4],
    pub(super) codec: Codec,
    /// Whether the content starts with a bitmap of the rows present.
    pub(super) bitmap: bool,
    pub(super) parameters: u64,
}

impl Frame {
    /// Writes header and checksum around `length` bytes of content, which `fill` writes.
    /// Whatever `out` held is replaced; its allocation is used again.
    pub(super) fn write(self, length: usize, out: &mut Vec<u8>, fill: impl FnOnce(&mut [u8])) {
        // No `clear`: that would write every byte twice, first as zero.
        out.resize(HEADER + length + CHECKSUM, 0);
        out[0..4].copy_from_slice(&self.magic);
        out[4..8].copy_from_slice(&[VERSION, self.codec.number(), u8::from(self.bitmap), 0]);
        out[8..16].copy_from_slice(&self.parameters.to_le_bytes());
        out[16..24].copy_from_slice(&(length as u64).to_le_bytes());
        let end = HEADER + length;
        fill(&mut out[HEADER..end]);
        let checksum = crc32fast::hash(&out[..end]);
        out[end..].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Checks everything that does not depend on the codec; returns header and content.
    pub(super) fn read(bytes: &[u8], magic: [u8; 4]) -> Result<(Self, &[u8]), CodecError> {
        let truncated = CodecError::Truncated { found: bytes.len(), wanted: HEADER + CHECKSUM };
        let (Some((header, rest)), true) =
            (bytes.split_first_chunk::<HEADER>(), bytes.len() >= HEADER + CHECKSUM)
        else {
            return Err(truncated);
        };
        let Some((content, checksum)) = rest.split_last_chunk::<CHECKSUM>() else {
            return Err(truncated);
        };
        let frame = Self::read_header(header, magic)?;
        let length = number(&header[16..24]);
        if length != content.len() as u64 {
            return Err(CodecError::Length { found: content.len(), wanted: length });
        }
        let (found, wanted) =
            (u32::from_le_bytes(*checksum), crc32fast::hash(&bytes[..HEADER + content.len()]));
        if found != wanted {
            return Err(CodecError::Checksum { found, wanted });
        }
        Ok((frame, content))
    }

    fn read_header(header: &[u8; HEADER], magic: [u8; 4]) -> Result<Self, CodecError> {
        let found = [header[0], header[1], header[2], header[3]];
        if found != magic {
            return Err(CodecError::Magic { found, wanted: magic });
        }
        if header[4] != VERSION {
            return Err(CodecError::Version { found: header[4], wanted: VERSION });
        }
        let codec = Codec::from_number(header[5])?;
        let flags = u16::from_le_bytes([header[6], header[7]]);
        if flags > 1 {
            return Err(CodecError::Flags { found: flags });
        }
        Ok(Self { magic, codec, bitmap: flags == 1, parameters: number(&header[8..16]) })
    }

    /// The payload must be for exactly `wanted` parameters.
    pub(super) fn check_parameters(self, wanted: usize) -> Result<(), CodecError> {
        if self.parameters == wanted as u64 {
            Ok(())
        } else {
            Err(CodecError::Parameters { found: self.parameters, wanted })
        }
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
