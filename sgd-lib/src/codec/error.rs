//! What can be wrong with a payload, or with the vectors handed to a codec.

/// Why a delta did not encode, or bytes did not decode. Indices count in the flat vector.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// Fewer bytes than the smallest payload has.
    #[error("{found} bytes; even an empty payload has {wanted}")]
    Truncated {
        /// Bytes that are there.
        found: usize,
        /// Bytes of a payload without content.
        wanted: usize,
    },
    /// The first four bytes are other ones.
    #[error("magic is \"{}\", not \"{}\"", found.escape_ascii(), wanted.escape_ascii())]
    Magic {
        /// The bytes that are there.
        found: [u8; 4],
        /// The bytes that mark what was asked for.
        wanted: [u8; 4],
    },
    /// Written by a version that this one can't read.
    #[error("format version {found}; this program reads version {wanted}")]
    Version {
        /// The version in the header.
        found: u8,
        /// The only version that is understood.
        wanted: u8,
    },
    /// No codec has this number.
    #[error("codec number {found}; known are 1 (f32), 2 (f16), 3 (int8), 4 (topk)")]
    Codec {
        /// The number in the header.
        found: u8,
    },
    /// The header sets a flag that has no meaning.
    #[error("header flags are {found:#06x}; only 0x0000 and 0x0001 have a meaning")]
    Flags {
        /// Flags and the reserved byte after them.
        found: u16,
    },
    /// Length declared by the header, or needed for the rows that are present, against what is there.
    #[error("{found} bytes of content; {wanted} are wanted")]
    Length {
        /// Bytes between header and checksum.
        found: usize,
        /// Bytes that there should be.
        wanted: u64,
    },
    /// The bytes are not those that were written.
    #[error("checksum {found:#010x}; the content's is {wanted:#010x}")]
    Checksum {
        /// What the payload ends with.
        found: u32,
        /// CRC32 of header and content.
        wanted: u32,
    },
    /// The payload belongs to another network.
    #[error("{found} parameters; the network has {wanted}")]
    Parameters {
        /// The number in the header.
        found: u64,
        /// Parameters by the row structure.
        wanted: usize,
    },
    /// The bitmap marks rows that do not exist.
    #[error("the bitmap of rows marks one beyond the last of {rows}")]
    Bitmap {
        /// How many rows there are.
        rows: usize,
    },
    /// A row's scale is not one that an encoder writes.
    #[error("the scale of row {row} is {found}; it must be positive and at most 2.7e36")]
    Scale {
        /// The row, counted over the whole vector.
        row: usize,
        /// The scale in the payload.
        found: f32,
    },
    /// A value stands where the rows have none.
    #[error("a value at {found} of a run of rows with {values} values")]
    Position {
        /// Where it stands in the run.
        found: usize,
        /// How many values the run has.
        values: usize,
    },
    /// A value that would poison every copy of the parameters.
    #[error("value {index} is {found}; every value must be finite")]
    NotFinite {
        /// Where it stands.
        index: usize,
        /// NaN or an infinity.
        found: f32,
    },
    /// The caller's vector does not fit the row structure.
    #[error("{what} has {found} values; the rows have {wanted}")]
    Vector {
        /// Which of the arguments.
        what: &'static str,
        /// Its length.
        found: usize,
        /// Parameters by the row structure.
        wanted: usize,
    },
}

/// A name that is no codec's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown codec {0:?}; known are f32, f16, int8, topk")]
pub struct UnknownCodec(pub(super) String);
