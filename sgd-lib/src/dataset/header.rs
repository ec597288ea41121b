//! The first page of a prepared file.
//!
//! Little-endian: magic (8 bytes), version (4), width, height, classes (4 each), training images, test
//! images, zero pixels in training, digest, fingerprint (8 each), lengths of the name and of the class
//! names (2 each), the name, the class names with line feeds between them, zeros, and the CRC-32 of all
//! this in the last 4 bytes. It is written when everything behind it is on the disk, so a header that is
//! whole says that the file is.

use super::shape::{OutOfBounds, Shape};

/// The header's length: one page, so that the images begin on one.
pub(crate) const HEADER_BYTES: usize = 4096;
/// Grows with every change of the layout, so that older files are prepared anew.
pub(crate) const FORMAT_VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"DOWNPDS\n";
const CRC_AT: usize = HEADER_BYTES - 4;

/// What is known of a prepared data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) class_names: Vec<String>,
    /// Pixels of value 0 in the training images.
    pub(crate) zeros: u64,
    /// Identifies shape, images and labels.
    pub(crate) digest: u64,
    /// Identifies the files that it was prepared from.
    pub(crate) fingerprint: u64,
}

/// What is wrong with a header: what was found, what was wanted.
pub(crate) struct Mismatch {
    pub(crate) found: String,
    pub(crate) wanted: String,
}

impl Mismatch {
    fn new(found: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self { found: found.into(), wanted: wanted.into() }
    }
}

impl From<OutOfBounds> for Mismatch {
    fn from(error: OutOfBounds) -> Self {
        Self::new(format!("{} {}", error.field, error.found), error.wanted)
    }
}

impl Header {
    /// The header's bytes.
    pub(crate) fn encode(&self) -> Result<Box<[u8; HEADER_BYTES]>, Mismatch> {
        let names = self.class_names.join("\n");
        let mut bytes = Box::new([0; HEADER_BYTES]);
        let mut at = 0;
        let mut put = |part: &[u8]| {
            // Past the end nothing is written; `at` tells afterwards.
            if let Some(place) = bytes[..CRC_AT].get_mut(at..at + part.len()) {
                place.copy_from_slice(part);
            }
            at += part.len();
        };
        put(&MAGIC);
        put(&FORMAT_VERSION.to_le_bytes());
        let Shape { width, height, classes, train, test } = self.shape;
        [width, height, classes].iter().for_each(|number| put(&number.to_le_bytes()));
        [train, test, self.zeros, self.digest, self.fingerprint]
            .iter()
            .for_each(|number| put(&number.to_le_bytes()));
        [&self.name, &names].iter().for_each(|text| put(&(text.len() as u16).to_le_bytes()));
        [&self.name, &names].iter().for_each(|text| put(text.as_bytes()));
        if at > CRC_AT {
            let found = format!("a name and class names of {} bytes", self.name.len() + names.len());
            return Err(Mismatch::new(found, format!("{} bytes fewer", at - CRC_AT)));
        }
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        Ok(bytes)
    }

    /// Reads and checks a header.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Mismatch> {
        let mut fields = Fields { bytes, at: 0 };
        if fields.take() != MAGIC {
            return Err(Mismatch::new("no finished header", "a prepared data set"));
        }
        let version = fields.u32();
        if version != FORMAT_VERSION {
            return Err(Mismatch::new(
                format!("format version {version}"),
                format!("version {FORMAT_VERSION}"),
            ));
        }
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| bytes[CRC_AT + index]);
        if crc32fast::hash(&bytes[..CRC_AT]) != u32::from_le_bytes([a, b, c, d]) {
            return Err(Mismatch::new("a damaged header", "a header that fits its checksum"));
        }
        let [width, height, classes] = [(); 3].map(|()| fields.u32());
        let [train, test, zeros, digest, fingerprint] = [(); 5].map(|()| fields.u64());
        let shape = Shape { width, height, classes, train, test };
        shape.check()?;
        let [name, names] = [(); 2].map(|()| usize::from(u16::from_le_bytes(fields.take())));
        let name = fields.text(name)?;
        let class_names: Vec<_> = fields.text(names)?.split('\n').map(str::to_owned).collect();
        if class_names.len() != classes as usize {
            let found = format!("names of {} classes", class_names.len());
            return Err(Mismatch::new(found, format!("{classes} names")));
        }
        Ok(Self { name, shape, class_names, zeros, digest, fingerprint })
    }
}

/// Reads a header's fields in order; all fixed ones lie within it.
struct Fields<'a> {
    bytes: &'a [u8; HEADER_BYTES],
    at: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut part = [0; N];
        part.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        part
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn text(&mut self, bytes: usize) -> Result<String, Mismatch> {
        let part = self.bytes[..CRC_AT].get(self.at..self.at + bytes);
        self.at += bytes;
        let text = part.and_then(|part| std::str::from_utf8(part).ok()).map(str::to_owned);
        text.ok_or_else(|| Mismatch::new(format!("a text of {bytes} bytes"), "UTF-8 within the header"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            name: "emnist-digits".into(),
            shape: Shape { width: 28, height: 27, classes: 3, train: 5, test: 2 },
            class_names: vec!["0".into(), "ä".into(), "T-shirt/top".into()],
            zeros: 17,
            digest: u64::MAX,
            fingerprint: 99,
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let bytes = header().encode().ok().unwrap();
        assert_eq!(Header::decode(&bytes).ok().unwrap(), header());
    }

    #[test]
    fn every_flipped_byte_is_found() {
        let bytes = header().encode().ok().unwrap();
        for at in 0..HEADER_BYTES {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x20;
            assert!(Header::decode(&flipped).is_err(), "byte {at}");
        }
    }

    #[test]
    fn texts_that_do_not_fit_are_refused() {
        let long = Header { name: "n".repeat(70_000), ..header() };
        assert!(long.encode().err().unwrap().wanted.contains("fewer"));
    }
}
