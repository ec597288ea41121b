//! How a parameter delta becomes bytes and comes back.
//!
//! A *delta* is a flat `f32` vector, seen as runs of equally long rows
//! ([`Architecture::rows`](crate::network::Architecture::rows)). Every codec leaves out the
//! rows that are all zero: a pixel that was blank in every image since the last push has a
//! row of zero gradient. What a lossy codec rounds away is the caller's to keep and send
//! later, so [`Encoder::encode`] also says what the receiver will decode.
//!
//! | file | what it is for |
//! |---|---|
//! | `frame` | header, length and checksum around every payload |
//! | `rows` | rows of a flat vector, the bitmap of those present, what a codec must do |
//! | `float32`, `float16`, `int8`, `top_k` | one codec each |
//! | `encoder`, `decoder` | from a delta to bytes; from bytes into a sum |
//! | `blob` | whole parameter vectors, for snapshots and models |

pub mod blob;

mod decoder;
mod encoder;
mod error;
mod float16;
mod float32;
mod frame;
mod int8;
mod rows;
mod top_k;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use decoder::{decode_add, decode_to};
pub(crate) use encoder::Delta;
pub use encoder::Encoder;
pub use error::{CodecError, UnknownCodec};

/// How each value of a delta is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Four bytes a value, exact.
    F32,
    /// Two bytes a value: IEEE 754 half precision, saturated at ±65504.
    F16,
    /// One byte a value and a scale of four bytes a row: within half of (largest value ÷ 127).
    Int8,
    /// Of each run of rows the largest 2 % alone, two bytes a value: the others stay with the sender.
    TopK,
}

impl Codec {
    /// Every codec, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Int8, Self::TopK];

    /// Whether much of a delta is left out of its payload, for a later one: more than rounding.
    pub fn is_sparse(self) -> bool {
        self == Self::TopK
    }

    /// The number that stands in a header.
    fn number(self) -> u8 {
        match self {
            Self::F32 => 1,
            Self::F16 => 2,
            Self::Int8 => 3,
            Self::TopK => 4,
        }
    }

    fn from_number(found: u8) -> Result<Self, CodecError> {
        Self::ALL.into_iter().find(|codec| codec.number() == found).ok_or(CodecError::Codec { found })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Int8 => "int8",
            Self::TopK => "topk",
        })
    }
}

impl FromStr for Codec {
    type Err = UnknownCodec;

    fn from_str(found: &str) -> Result<Self, UnknownCodec> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.to_string() == found)
            .ok_or_else(|| UnknownCodec(found.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back_to_the_codec() {
        for codec in Codec::ALL {
            assert_eq!(codec.to_string().parse(), Ok(codec));
            assert_eq!(Codec::from_number(codec.number()), Ok(codec));
        }
    }

    #[test]
    fn an_unknown_name_says_what_is_allowed() {
        let error = "f8".parse::<Codec>().unwrap_err();
        assert_eq!(error.to_string(), "unknown codec \"f8\"; known are f32, f16, int8, topk");
        assert!("F32".parse::<Codec>().is_err());
    }
}
