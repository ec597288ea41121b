//! EMNIST's MATLAB file: `dataset.{train,test}.{images,labels}` and `dataset.mapping`.
//!
//! A MATLAB v5 file is a header of 128 bytes and a sequence of elements. `dataset` is a struct of structs,
//! as a rule in one zlib stream. `images` is a matrix of bytes with an image in each row, stored column
//! after column: pixel 0 of every image, pixel 1 of every image, … As that can't be turned while it
//! streams past, the matrix is unpacked into a scratch file and read back by blocks of images.
//! Version 7.3 files are HDF5 and not read.

mod matrix;
mod stream;

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use flate2::bufread::ZlibDecoder;

use self::{
    matrix::Matrix,
    stream::{Stream, TYPE_COMPRESSED, TYPE_MATRIX, TYPE_UINT8},
};
use super::{
    DatasetError,
    idx::MAX_INFLATION,
    shape::{MAX_CLASSES, MAX_IMAGES, MAX_SIDE},
};

const HEADER_BYTES: usize = 128;

/// What stands in a file.
pub(crate) struct MatFile {
    pub(crate) train: MatSplit,
    pub(crate) test: MatSplit,
    /// Labels and character codes.
    pub(crate) mapping: Option<Vec<(u32, u32)>>,
}

/// Training or test data.
pub(crate) struct MatSplit {
    pub(crate) images: Columns,
    /// One label per image, as stored.
    pub(crate) labels: Vec<u8>,
}

/// A matrix of bytes in a scratch file, column after column.
pub(crate) struct Columns {
    file: File,
    rows: u64,
    columns: usize,
}

impl Columns {
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Rows: images.
    pub(crate) fn count(&self) -> u64 {
        self.rows
    }

    /// Columns: pixels.
    pub(crate) fn count_columns(&self) -> usize {
        self.columns
    }
}

/// Makes an empty scratch file.
pub(crate) type Scratch<'a> = &'a dyn Fn() -> Result<File, DatasetError>;

/// Reads a MATLAB v5 file; the images go to scratch files.
pub(crate) fn read(path: &Path, scratch: Scratch<'_>) -> Result<MatFile, DatasetError> {
    let file = File::open(path).map_err(DatasetError::io(path, "open"))?;
    let bytes = file.metadata().map_err(DatasetError::io(path, "read the size of"))?.len();
    read_from(path, BufReader::with_capacity(1 << 16, file), bytes, scratch)
}

/// The same of a file of so many `bytes`, which `file` reads.
pub(super) fn read_from(
    path: &Path,
    mut file: impl BufRead,
    bytes: u64,
    scratch: Scratch<'_>,
) -> Result<MatFile, DatasetError> {
    let mut left = bytes;
    let big_endian = read_header(path, &mut file, &mut left)?;
    let mut found = None;
    while left > 0 {
        let element = Stream::new(path, big_endian, &mut file).element(&mut left)?;
        let mut inner = element.take_size(&mut left);
        let dataset = match element.kind {
            TYPE_COMPRESSED => read_compressed(path, big_endian, &mut file, inner, scratch)?,
            TYPE_MATRIX => {
                let mut stream = Stream::new(path, big_endian, &mut file);
                let dataset = read_variable(&mut stream, &mut inner, scratch)?;
                stream.skip(&mut inner)?;
                dataset
            }
            kind => return Err(DatasetError::format(path, format!("an element of type {kind}"), "a matrix")),
        };
        found = found.or(dataset);
    }
    found.ok_or_else(|| DatasetError::format(path, "no variable `dataset`", "EMNIST's MATLAB file"))
}

/// Checks the header; returns whether numbers are big-endian.
fn read_header(path: &Path, file: &mut impl Read, left: &mut u64) -> Result<bool, DatasetError> {
    let wanted = "a MATLAB file of version 5";
    if *left < HEADER_BYTES as u64 {
        return Err(DatasetError::format(path, format!("{left} bytes"), wanted));
    }
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header).map_err(DatasetError::io(path, "read"))?;
    *left -= HEADER_BYTES as u64;
    let big_endian = match &header[126..] {
        b"IM" => false,
        b"MI" => true,
        other => return Err(DatasetError::format(path, format!("the byte order mark {other:02x?}"), wanted)),
    };
    let version = [header[124], header[125]];
    match if big_endian { u16::from_be_bytes(version) } else { u16::from_le_bytes(version) } {
        0x0100 => Ok(big_endian),
        0x0200 => Err(DatasetError::format(path, "version 7.3 (HDF5)", wanted)),
        other => Err(DatasetError::format(path, format!("version 0x{other:04x}"), wanted)),
    }
}

/// Reads a compressed variable: `bytes` bytes that hold one matrix.
fn read_compressed(
    path: &Path,
    big_endian: bool,
    file: &mut impl BufRead,
    bytes: u64,
    scratch: Scratch<'_>,
) -> Result<Option<MatFile>, DatasetError> {
    let mut inflate = ZlibDecoder::new(file.take(bytes));
    let mut stream = Stream::new(path, big_endian, &mut inflate);
    // What the zlib stream can hold at most bounds every size inside it.
    let mut outer = bytes.saturating_mul(MAX_INFLATION);
    let mut inner = stream.matrix(&mut outer)?;
    let dataset = read_variable(&mut stream, &mut inner, scratch)?;
    if dataset.is_none() {
        // Another variable: nobody needs it unpacked.
        let mut rest = inflate.into_inner();
        let mut left = rest.limit();
        Stream::new(path, big_endian, &mut rest).skip(&mut left)?;
        return Ok(None);
    }
    stream.skip(&mut inner)?;
    stream.finish()?;
    match inflate.into_inner().limit() {
        0 => Ok(dataset),
        left => Err(DatasetError::format(path, format!("{left} bytes after the compressed data"), "none")),
    }
}

/// Reads one variable's matrix of `left` bytes, if it is `dataset`.
fn read_variable(
    stream: &mut Stream<'_>,
    left: &mut u64,
    scratch: Scratch<'_>,
) -> Result<Option<MatFile>, DatasetError> {
    let Some(matrix) = Matrix::read(stream, left)? else { return Ok(None) };
    if matrix.name != "dataset" {
        return Ok(None);
    }
    let (mut train, mut test, mut mapping) = (None, None, None);
    for field in matrix.fields(stream, left, "dataset")? {
        let mut inner = stream.matrix(left)?;
        match field.as_str() {
            "train" => train = Some(read_split(stream, &mut inner, "dataset.train", scratch)?),
            "test" => test = Some(read_split(stream, &mut inner, "dataset.test", scratch)?),
            "mapping" => mapping = Some(read_mapping(stream, &mut inner)?),
            _ => {}
        }
        stream.skip(&mut inner)?;
    }
    let missing =
        |field: &str| DatasetError::format(stream.path(), format!("no `dataset.{field}`"), "both splits");
    let train = train.ok_or_else(|| missing("train"))?;
    let test = test.ok_or_else(|| missing("test"))?;
    Ok(Some(MatFile { train, test, mapping }))
}

/// Reads `dataset.train` or `dataset.test`, called `name`.
fn read_split(
    stream: &mut Stream<'_>,
    left: &mut u64,
    name: &str,
    scratch: Scratch<'_>,
) -> Result<MatSplit, DatasetError> {
    let matrix = Matrix::read_some(stream, left, name)?;
    let (mut images, mut labels) = (None, None);
    for field in matrix.fields(stream, left, name)? {
        let mut inner = stream.matrix(left)?;
        let name = format!("{name}.{field}");
        match field.as_str() {
            "images" => images = Some(read_images(stream, &mut inner, &name, scratch()?)?),
            "labels" => labels = Some(read_labels(stream, &mut inner, &name)?),
            _ => {}
        }
        stream.skip(&mut inner)?;
    }
    let missing = |field: &str| {
        DatasetError::format(stream.path(), format!("no `{name}.{field}`"), "images and labels")
    };
    let images = images.ok_or_else(|| missing("images"))?;
    let labels: Vec<u8> = labels.ok_or_else(|| missing("labels"))?;
    if images.count() != labels.len() as u64 {
        let found = format!("{} labels in `{name}.labels`", labels.len());
        return Err(DatasetError::format(
            stream.path(),
            found,
            format!("{}, one for each image", images.count()),
        ));
    }
    Ok(MatSplit { images, labels })
}

/// Unpacks a matrix of bytes, one image a row, into `file`.
fn read_images(
    stream: &mut Stream<'_>,
    left: &mut u64,
    name: &str,
    file: File,
) -> Result<Columns, DatasetError> {
    let matrix = Matrix::read_some(stream, left, name)?;
    let (rows, columns) = matrix.two_sizes(stream, name)?;
    let most = MAX_SIDE * MAX_SIDE;
    if rows == 0 || u64::from(rows) > MAX_IMAGES || columns == 0 || columns > most {
        let wanted = format!("1 to {MAX_IMAGES} images of 1 to {most} pixels");
        return Err(DatasetError::format(stream.path(), format!("{rows}×{columns} in `{name}`"), wanted));
    }
    let element = stream.element(left)?;
    let bytes = u64::from(rows) * u64::from(columns);
    if element.kind != TYPE_UINT8 || element.size != bytes || matrix.complex {
        let found = format!("{} bytes of type {} in `{name}`", element.size, element.kind);
        return Err(DatasetError::format(
            stream.path(),
            found,
            format!("{bytes} bytes, for {rows}×{columns} pixels"),
        ));
    }
    let path = stream.path().to_owned();
    let mut writer = BufWriter::with_capacity(1 << 18, &file);
    stream.payload(&element, left, &mut |part| {
        writer.write_all(part).map_err(DatasetError::io(&path, "unpack the images of"))
    })?;
    writer.flush().map_err(DatasetError::io(&path, "unpack the images of"))?;
    drop(writer);
    Ok(Columns { file, rows: rows.into(), columns: columns as usize })
}

/// Reads a column (or row) of labels.
fn read_labels(stream: &mut Stream<'_>, left: &mut u64, name: &str) -> Result<Vec<u8>, DatasetError> {
    let matrix = Matrix::read_some(stream, left, name)?;
    let (rows, columns) = matrix.two_sizes(stream, name)?;
    if rows.min(columns) != 1 || u64::from(rows.max(columns)) > MAX_IMAGES {
        let found = format!("{rows}×{columns} in `{name}`");
        return Err(DatasetError::format(
            stream.path(),
            found,
            format!("1 to {MAX_IMAGES} labels in a row or column"),
        ));
    }
    let mut labels = Vec::new();
    let path = stream.path().to_owned();
    matrix.numbers(stream, left, name, &mut |number| {
        let label = u8::try_from(number);
        labels.push(
            label.map_err(|_| {
                DatasetError::format(&path, format!("label {number} in `{name}`"), "0 to 255")
            })?,
        );
        Ok(())
    })?;
    Ok(labels)
}

/// Reads the mapping: a label a row, with one or more character codes; the first is taken.
fn read_mapping(stream: &mut Stream<'_>, left: &mut u64) -> Result<Vec<(u32, u32)>, DatasetError> {
    let name = "dataset.mapping";
    let matrix = Matrix::read_some(stream, left, name)?;
    let (rows, columns) = matrix.two_sizes(stream, name)?;
    if !(1..=MAX_CLASSES).contains(&rows) || !(2..=4).contains(&columns) {
        let wanted = format!("1 to {MAX_CLASSES} rows of a label and 1 to 3 character codes");
        return Err(DatasetError::format(stream.path(), format!("{rows}×{columns} in `{name}`"), wanted));
    }
    let mut numbers = Vec::new();
    matrix.numbers(stream, left, name, &mut |number| {
        numbers.push(number);
        Ok(())
    })?;
    let (labels, codes) = numbers.split_at(rows as usize);
    Ok(labels.iter().copied().zip(codes.iter().copied()).collect())
}

#[cfg(test)]
mod tests;
