//! The prepared data set: one file, mapped.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
};

use memmap2::Mmap;

use super::{
    DatasetError, Shape, Source, Split, Transpose,
    header::{HEADER_BYTES, Header},
    prepare,
    writer::digest_of,
};

/// A prepared data set. All processes that map it share its pages; threads share it in an `Arc`.
pub struct Dataset {
    path: PathBuf,
    map: Mmap,
    header: Header,
}

impl Dataset {
    /// Opens the prepared form of `source` in `cache_dir`, preparing it first where it is not there, not
    /// whole, or made from other files (names, sizes, times of change) or with another `transpose`.
    ///
    /// Of several processes at once, one prepares and the others wait for it. Memory stays small
    /// however large the files are; the folder needs room for the prepared file, and for twice as much
    /// while a MATLAB file is read.
    ///
    /// # Errors
    /// A file can't be read or is not what it should be, or the cache can't be written.
    pub fn prepare(source: &Source, cache_dir: &Path, transpose: Transpose) -> Result<Self, DatasetError> {
        prepare::prepare(source, cache_dir, transpose)
    }

    /// Opens a prepared file. Checks the header, the length and that every label is a class;
    /// [`Dataset::verify`] reads the rest.
    ///
    /// # Errors
    /// The file can't be read, or is not a whole prepared data set of this version.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let file = File::open(path).map_err(DatasetError::io(path, "open"))?;
        let map = map(&file).map_err(DatasetError::io(path, "map"))?;
        let Some(header) = map.first_chunk::<HEADER_BYTES>() else {
            return Err(DatasetError::format(path, format!("{} bytes", map.len()), "a prepared data set"));
        };
        let header =
            Header::decode(header).map_err(|error| DatasetError::format(path, error.found, error.wanted))?;
        let wanted = HEADER_BYTES as u64 + header.shape.payload_bytes();
        if map.len() as u64 != wanted {
            return Err(DatasetError::format(
                path,
                format!("{} bytes", map.len()),
                format!("{wanted} bytes"),
            ));
        }
        let dataset = Self { path: path.to_owned(), map, header };
        // Labels index arrays of classes: a damaged one must not get that far.
        let classes = dataset.classes();
        let labels = dataset.train().labels.iter().chain(dataset.test().labels);
        match labels.max() {
            Some(largest) if usize::from(*largest) >= classes => Err(DatasetError::format(
                path,
                format!("class {largest}"),
                format!("classes below {classes}"),
            )),
            _ => Ok(dataset),
        }
    }

    /// Reads everything and compares it with the digest: finds what [`Dataset::open`] can't.
    ///
    /// # Errors
    /// Images or labels are not those that were written.
    pub fn verify(&self) -> Result<(), DatasetError> {
        let mut hash = digest_of(&self.header.shape);
        hash.update(self.payload());
        if hash.digest() == self.header.digest {
            return Ok(());
        }
        let found = format!("images and labels of digest {:016x}", hash.digest());
        Err(DatasetError::format(
            &self.path,
            found,
            format!("digest {:016x}; remove the file", self.header.digest),
        ))
    }

    /// The training data.
    pub fn train(&self) -> Split<'_> {
        self.split(0, self.header.shape.train as usize)
    }

    /// The test data.
    pub fn test(&self) -> Split<'_> {
        self.split(self.header.shape.train as usize, self.header.shape.test as usize)
    }

    /// The images from number `first`, and their labels, which lie behind all images.
    fn split(&self, first: usize, count: usize) -> Split<'_> {
        let Shape { train, test, .. } = self.header.shape;
        let pixels = self.pixels();
        let (images, labels) = self.payload().split_at((train + test) as usize * pixels);
        Split {
            images: &images[first * pixels..(first + count) * pixels],
            labels: &labels[first..first + count],
            pixels,
        }
    }

    /// Images and labels as they lie in the file.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.map[HEADER_BYTES..]
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The data set's name; see [`Source::name`].
    pub fn name(&self) -> &str {
        &self.header.name
    }

    /// Where the prepared file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All sizes at once.
    pub fn shape(&self) -> Shape {
        self.header.shape
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.header.shape.classes as usize
    }

    /// What each class shows, in the order of the classes: a character, a word, or the label's number.
    pub fn class_names(&self) -> &[String] {
        &self.header.class_names
    }

    /// Pixels per image.
    pub fn pixels(&self) -> usize {
        self.header.shape.pixels()
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.header.shape.width as usize
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.header.shape.height as usize
    }

    /// Which share of the training pixels is 0 (blank), 0 to 1.
    pub fn zero_share(&self) -> f32 {
        (self.header.zeros as f64 / self.header.shape.train_bytes() as f64) as f32
    }

    /// Identifies shape, images and labels, whatever files they came from.
    pub fn digest(&self) -> u64 {
        self.header.digest
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dataset").field("path", &self.path).field("header", &self.header).finish()
    }
}

/// Maps a prepared file for reading.
#[expect(unsafe_code, reason = "mapping a file needs it; see the safety comment")]
fn map(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: nobody changes a prepared file in place: a writer fills another file and renames it, and
    // this map then keeps the old one. (Who truncates it by hand gets a SIGBUS, as with any mapped file.)
    unsafe { Mmap::map(file) }
}
