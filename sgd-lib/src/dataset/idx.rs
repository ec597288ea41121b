//! The IDX format of MNIST and its kin: a magic number, sizes, then bytes; gzip or plain.
//!
//! Big-endian: `00 00 08 D` (unsigned bytes, D dimensions), D sizes of four bytes, the values.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;

use super::{
    DatasetError,
    shape::{MAX_IMAGES, MAX_SIDE},
    transpose::transpose,
};

/// Deflate makes nothing smaller than one byte in 1,032.
pub(crate) const MAX_INFLATION: u64 = 1032;

/// An IDX file whose header has been read and checked against what the file can hold.
struct IdxFile<'a, const DIMENSIONS: usize> {
    path: PathBuf,
    input: Box<dyn Read + 'a>,
    sizes: [u32; DIMENSIONS],
}

impl<'a, const DIMENSIONS: usize> IdxFile<'a, DIMENSIONS> {
    /// Opens a file and reads its header. `most` bounds each size.
    fn open(path: &Path, most: [u64; DIMENSIONS]) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(DatasetError::io(path, "open"))?;
        let bytes = file.metadata().map_err(DatasetError::io(path, "read the size of"))?.len();
        Self::read_from(path, BufReader::with_capacity(1 << 16, file), bytes, most)
    }

    /// Reads the header of a file of so many `bytes`, which `file` reads.
    fn read_from(
        path: &Path,
        mut file: impl BufRead + 'a,
        bytes: u64,
        most: [u64; DIMENSIONS],
    ) -> Result<Self, DatasetError> {
        let zipped = file.fill_buf().map_err(DatasetError::io(path, "read"))?.starts_with(&[0x1f, 0x8b]);
        let input: Box<dyn Read + 'a> =
            if zipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let mut idx = Self { path: path.to_owned(), input, sizes: [0; DIMENSIONS] };
        idx.read_magic()?;
        for size in 0..DIMENSIONS {
            let mut word = [0; 4];
            idx.take(&mut word, "the header")?;
            idx.sizes[size] = u32::from_be_bytes(word);
        }
        idx.check_sizes(most)?;
        let header = 4 + 4 * DIMENSIONS as u64;
        idx.check_length(bytes, header + idx.values(), zipped)?;
        Ok(idx)
    }

    fn read_magic(&mut self) -> Result<(), DatasetError> {
        let mut magic = [0; 4];
        self.take(&mut magic, "the header")?;
        let wanted = 0x0800 + DIMENSIONS as u32;
        match u32::from_be_bytes(magic) {
            found if found == wanted => Ok(()),
            found => Err(self.error(
                format!("the magic number 0x{found:08x}"),
                format!("0x{wanted:08x}: IDX, unsigned bytes, {DIMENSIONS} dimension(s)"),
            )),
        }
    }

    fn check_sizes(&self, most: [u64; DIMENSIONS]) -> Result<(), DatasetError> {
        match self.sizes.iter().zip(most).find(|(size, most)| u64::from(**size) > *most || **size == 0) {
            None => Ok(()),
            Some((_, most)) => Err(self.error(
                format!("the sizes {:?}", self.sizes),
                format!("each at least 1, this one at most {most}"),
            )),
        }
    }

    /// Compares the length that the header promises with the file's: exactly for a plain file; for a
    /// zipped one the end tells, but no file inflates beyond deflate's best ratio.
    fn check_length(&self, bytes: u64, wanted: u64, zipped: bool) -> Result<(), DatasetError> {
        let sizes = self.sizes;
        if zipped && wanted > bytes.saturating_mul(MAX_INFLATION) {
            let found = format!("the sizes {sizes:?}, {wanted} bytes, in a gzip file of {bytes} bytes");
            return Err(self.error(found, "sizes that the file can hold"));
        }
        if !zipped && wanted != bytes {
            return Err(
                self.error(format!("{bytes} bytes"), format!("{wanted} bytes for the sizes {sizes:?}"))
            );
        }
        Ok(())
    }

    /// How many values follow the header; the sizes were checked, so this can't overflow.
    fn values(&self) -> u64 {
        self.sizes.iter().map(|size| u64::from(*size)).product()
    }

    fn take(&mut self, buffer: &mut [u8], what: &str) -> Result<(), DatasetError> {
        self.input.read_exact(buffer).map_err(|error| self.read_error(error, what))
    }

    /// Checks that the file ends here; for a gzip file this also checks its checksum.
    fn finish(&mut self) -> Result<(), DatasetError> {
        let mut more = [0];
        match self.input.read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.error("more bytes after the last value", format!("{} values", self.values()))),
            Err(error) => Err(self.read_error(error, "the end")),
        }
    }

    fn read_error(&self, error: io::Error, what: &str) -> DatasetError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self
                .error(format!("the end of the file within {what}"), format!("the sizes {:?}", self.sizes)),
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
                self.error(format!("damaged gzip data at {what} ({error})"), "a whole gzip file")
            }
            _ => DatasetError::io(&self.path, "read")(error),
        }
    }

    fn error(&self, found: impl Into<String>, wanted: impl Into<String>) -> DatasetError {
        DatasetError::format(&self.path, found, wanted)
    }
}

/// Images, rows and columns that a file may have.
const MOST_IMAGES: [u64; 3] = [MAX_IMAGES, MAX_SIDE as u64, MAX_SIDE as u64];

/// The images of an IDX file, read one by one.
pub(crate) struct IdxImages<'a> {
    file: IdxFile<'a, 3>,
    transposed: bool,
    stored: Vec<u8>,
}

impl<'a> IdxImages<'a> {
    pub(crate) fn open(path: &Path, transposed: bool) -> Result<Self, DatasetError> {
        Ok(Self::new(IdxFile::open(path, MOST_IMAGES)?, transposed))
    }

    /// The same of bytes in memory.
    pub(super) fn of_bytes(path: &Path, bytes: &'a [u8], transposed: bool) -> Result<Self, DatasetError> {
        Ok(Self::new(IdxFile::read_from(path, bytes, bytes.len() as u64, MOST_IMAGES)?, transposed))
    }

    fn new(file: IdxFile<'a, 3>, transposed: bool) -> Self {
        let pixels = file.sizes[1] as usize * file.sizes[2] as usize;
        Self { file, transposed, stored: vec![0; pixels] }
    }

    pub(crate) fn count(&self) -> u64 {
        self.file.sizes[0].into()
    }

    /// Width and height of the upright images.
    pub(crate) fn size(&self) -> (u32, u32) {
        let [_, rows, columns] = self.file.sizes;
        if self.transposed { (rows, columns) } else { (columns, rows) }
    }

    pub(crate) fn pixels(&self) -> usize {
        self.stored.len()
    }

    /// Reads every image, upright, into `sink`, and checks that the file ends after the last.
    pub(crate) fn read_all(
        mut self,
        mut sink: impl FnMut(&[u8]) -> Result<(), DatasetError>,
    ) -> Result<(), DatasetError> {
        let mut upright = vec![0; self.stored.len()];
        for _ in 0..self.count() {
            self.file.take(&mut self.stored, "the images")?;
            if self.transposed {
                transpose(&self.stored, self.size().0 as usize, &mut upright);
                sink(&upright)?;
            } else {
                sink(&self.stored)?;
            }
        }
        self.file.finish()
    }
}

/// All labels of an IDX file, as stored.
pub(crate) fn read_idx_labels(path: &Path) -> Result<Vec<u8>, DatasetError> {
    labels(IdxFile::open(path, [MAX_IMAGES])?)
}

/// The same of bytes in memory.
pub(super) fn labels_of_bytes(path: &Path, bytes: &[u8]) -> Result<Vec<u8>, DatasetError> {
    labels(IdxFile::read_from(path, bytes, bytes.len() as u64, [MAX_IMAGES])?)
}

fn labels(mut file: IdxFile<'_, 1>) -> Result<Vec<u8>, DatasetError> {
    let mut labels = vec![0; file.values() as usize];
    file.take(&mut labels, "the labels")?;
    file.finish()?;
    Ok(labels)
}

#[cfg(test)]
mod tests;
