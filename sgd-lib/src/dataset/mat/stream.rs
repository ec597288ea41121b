//! The elements of a MATLAB v5 file: a tag of type and size, a payload, zeros up to eight bytes.

use std::{
    io::{self, Read},
    path::Path,
};

use super::super::DatasetError;

pub(super) const TYPE_UINT8: u32 = 2;
pub(super) const TYPE_MATRIX: u32 = 14;
pub(super) const TYPE_COMPRESSED: u32 = 15;

const PIECE_BYTES: usize = 1 << 16;

/// Reads elements. Each call is told how many bytes the enclosing element has left, takes what it reads
/// off that, and refuses what would not fit.
pub(super) struct Stream<'a> {
    path: &'a Path,
    big_endian: bool,
    input: &'a mut dyn Read,
}

/// A tag.
pub(super) struct Element {
    pub(super) kind: u32,
    /// Payload bytes.
    pub(super) size: u64,
    /// The payload of a small element, which stands in the tag itself.
    inline: Option<[u8; 4]>,
}

impl Element {
    /// Takes the payload off what encloses it, for a reader of the payload to count down; nothing
    /// follows the tag of a small element.
    pub(super) fn take_size(&self, left: &mut u64) -> u64 {
        let size = if self.inline.is_some() { 0 } else { self.size };
        *left -= size;
        size
    }
}

impl<'a> Stream<'a> {
    pub(super) fn new(path: &'a Path, big_endian: bool, input: &'a mut dyn Read) -> Self {
        Self { path, big_endian, input }
    }

    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    /// The 32-bit numbers in `bytes`.
    pub(super) fn words(&self, bytes: &[u8]) -> impl Iterator<Item = u32> {
        bytes.as_chunks().0.iter().map(|word| self.word(*word))
    }

    fn word(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    pub(super) fn big_endian(&self) -> bool {
        self.big_endian
    }

    /// Reads a tag; its payload is the next thing to read.
    pub(super) fn element(&mut self, left: &mut u64) -> Result<Element, DatasetError> {
        let mut inline = [0; 4];
        self.fill(&mut inline, left)?;
        let kind = self.word(inline);
        self.fill(&mut inline, left)?;
        if kind >> 16 == 0 {
            let element = Element { kind, size: self.word(inline).into(), inline: None };
            return if element.size <= *left {
                Ok(element)
            } else {
                Err(self.too_large(element.size, *left))
            };
        }
        // A small element: the size stands in the upper half of the type.
        let size = u64::from(kind >> 16);
        if size > 4 {
            return Err(self.too_large(size, 4));
        }
        Ok(Element { kind: kind & 0xffff, size, inline: Some(inline) })
    }

    /// Reads the tag of a matrix; returns the size of what is in it, and takes that off `left`.
    pub(super) fn matrix(&mut self, left: &mut u64) -> Result<u64, DatasetError> {
        let element = self.element(left)?;
        if element.kind != TYPE_MATRIX {
            let found = format!("an element of type {}", element.kind);
            return Err(DatasetError::format(self.path, found, "a matrix"));
        }
        Ok(element.take_size(left))
    }

    /// Hands an element's payload to `sink`, piece by piece, and passes over the zeros behind it. Pieces
    /// have a multiple of eight bytes, but for the last.
    pub(super) fn payload(
        &mut self,
        element: &Element,
        left: &mut u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), DatasetError>,
    ) -> Result<(), DatasetError> {
        if let Some(bytes) = &element.inline {
            return sink(&bytes[..element.size as usize]);
        }
        let mut piece = vec![0; PIECE_BYTES.min(element.size as usize)];
        let mut unread = element.size;
        while unread > 0 {
            let part = &mut piece[..PIECE_BYTES.min(unread as usize)];
            self.fill(part, left)?;
            unread -= part.len() as u64;
            sink(part)?;
        }
        let mut padding = (element.size.next_multiple_of(8) - element.size).min(*left);
        *left -= padding;
        self.skip(&mut padding)
    }

    /// An element's payload of at most `most` bytes.
    pub(super) fn bytes(
        &mut self,
        left: &mut u64,
        most: u64,
        what: &str,
    ) -> Result<(u32, Vec<u8>), DatasetError> {
        let element = self.element(left)?;
        if element.size > most {
            let found = format!("{} bytes for {what}", element.size);
            return Err(DatasetError::format(self.path, found, format!("at most {most}")));
        }
        let mut bytes = Vec::new();
        self.payload(&element, left, &mut |part| {
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        Ok((element.kind, bytes))
    }

    /// Passes over all that is left.
    pub(super) fn skip(&mut self, left: &mut u64) -> Result<(), DatasetError> {
        let skipped = io::copy(&mut self.input.take(*left), &mut io::sink());
        let skipped = skipped.map_err(|error| self.read_error(error))?;
        if skipped != *left {
            return Err(self.read_error(io::ErrorKind::UnexpectedEof.into()));
        }
        *left = 0;
        Ok(())
    }

    /// Checks that the input ends here.
    pub(super) fn finish(&mut self) -> Result<(), DatasetError> {
        match self.input.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(DatasetError::format(self.path, "more bytes after the compressed matrix", "none")),
            Err(error) => Err(self.read_error(error)),
        }
    }

    fn fill(&mut self, buffer: &mut [u8], left: &mut u64) -> Result<(), DatasetError> {
        let wanted = buffer.len() as u64;
        if wanted > *left {
            return Err(self.too_large(wanted, *left));
        }
        *left -= wanted;
        self.input.read_exact(buffer).map_err(|error| self.read_error(error))
    }

    fn too_large(&self, size: u64, left: u64) -> DatasetError {
        DatasetError::format(
            self.path,
            format!("an element of {size} bytes"),
            format!("at most {left}, the rest of what it is in"),
        )
    }

    fn read_error(&self, error: io::Error) -> DatasetError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                DatasetError::format(self.path, "the end of the data within an element", "a whole file")
            }
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                DatasetError::format(self.path, format!("damaged compressed data ({error})"), "a whole file")
            }
            _ => DatasetError::io(self.path, "read")(error),
        }
    }
}
