//! From a source's files to the prepared file.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{
    Dataset, DatasetError, Shape, Source, Transpose,
    classes::Classes,
    idx::{IdxImages, read_idx_labels},
    mat::{self, Columns},
    source::Files,
    transpose::upright_index,
    writer::{CacheLock, CacheWriter},
};

/// Images of a MATLAB file are turned row-major in blocks of about this many bytes.
const BLOCK_BYTES: usize = 1 << 21;

/// See [`Dataset::prepare`].
pub(crate) fn prepare(
    source: &Source,
    cache_dir: &Path,
    transpose: Transpose,
) -> Result<Dataset, DatasetError> {
    let fingerprint = source.fingerprint(transpose)?;
    let target = cache_dir.join(source.cache_name(transpose)?);
    // A cache that does not open is torn: what is wrong with it does not matter, it is made anew.
    let current =
        |path: &Path| Dataset::open(path).ok().filter(|found| found.header().fingerprint == fingerprint);
    if let Some(dataset) = current(&target) {
        return Ok(dataset);
    }
    let lock = CacheLock::acquire(target)?;
    // Whoever held the lock before may have done the work.
    if let Some(dataset) = current(lock.target()) {
        return Ok(dataset);
    }
    tracing::info!(name = source.name(), cache = %lock.target().display(), "preparing the data set");
    match source.files() {
        Files::Idx { files, mapping } => {
            prepare_idx(source, files, mapping.as_deref(), transpose, lock, fingerprint)
        }
        Files::Mat(file) => prepare_mat(source, file, transpose, lock, fingerprint),
    }
}

fn prepare_idx(
    source: &Source,
    [train_images, train_labels, test_images, test_labels]: &[PathBuf; 4],
    mapping: Option<&Path>,
    transpose: Transpose,
    lock: CacheLock,
    fingerprint: u64,
) -> Result<Dataset, DatasetError> {
    let transposed = source.transposed(transpose);
    let mapping = mapping.map(|path| Ok((path, Classes::read_mapping(path)?))).transpose()?;
    let mut train = (IdxImages::open(train_images, transposed)?, read_idx_labels(train_labels)?);
    let mut test = (IdxImages::open(test_images, transposed)?, read_idx_labels(test_labels)?);
    for (images, labels, path) in [(&train.0, &train.1, train_labels), (&test.0, &test.1, test_labels)] {
        if images.count() != labels.len() as u64 {
            let wanted = format!("{}, one for each image", images.count());
            return Err(DatasetError::format(path, format!("{} labels", labels.len()), wanted));
        }
    }
    let (width, height) = train.0.size();
    if test.0.size() != (width, height) {
        let found = format!("images of {}×{} pixels", test.0.size().0, test.0.size().1);
        return Err(DatasetError::format(test_images, found, format!("{width}×{height}, as in training")));
    }
    let classes = Classes::resolve(mapping, source.known(), &train.1)?;
    classes.apply(train_labels, &mut train.1)?;
    classes.apply(test_labels, &mut test.1)?;
    let shape = Shape {
        width,
        height,
        classes: classes.names.len() as u32,
        train: train.0.count(),
        test: test.0.count(),
    };
    check(&shape, train_images)?;
    let mut writer = CacheWriter::create(lock, source.name(), shape, classes.names, fingerprint)?;
    train.0.read_all(|image| writer.write(image))?;
    test.0.read_all(|image| writer.write(image))?;
    writer.write(&train.1)?;
    writer.write(&test.1)?;
    writer.finish()
}

fn prepare_mat(
    source: &Source,
    path: &Path,
    transpose: Transpose,
    lock: CacheLock,
    fingerprint: u64,
) -> Result<Dataset, DatasetError> {
    let mut mat = mat::read(path, &|| lock.scratch())?;
    let side = mat.train.images.count_columns().isqrt();
    let pixels = side * side;
    for split in [&mat.train, &mat.test] {
        let columns = split.images.count_columns();
        if columns != pixels {
            let wanted = format!("{pixels} ({side}×{side}) pixels in training and test images alike");
            return Err(DatasetError::format(path, format!("images of {columns} pixels"), wanted));
        }
    }
    let mapping =
        mat.mapping.take().map(|pairs| Ok((path, Classes::from_mapping(path, pairs)?))).transpose()?;
    let classes = Classes::resolve(mapping, source.known(), &mat.train.labels)?;
    classes.apply(path, &mut mat.train.labels)?;
    classes.apply(path, &mut mat.test.labels)?;
    let shape = Shape {
        width: side as u32,
        height: side as u32,
        classes: classes.names.len() as u32,
        train: mat.train.images.count(),
        test: mat.test.images.count(),
    };
    check(&shape, path)?;
    let transposed = source.transposed(transpose);
    let mut writer = CacheWriter::create(lock, source.name(), shape, classes.names, fingerprint)?;
    for split in [&mat.train, &mat.test] {
        write_rows(&split.images, transposed.then_some(side), &mut writer, path)?;
    }
    writer.write(&mat.train.labels)?;
    writer.write(&mat.test.labels)?;
    writer.finish()
}

/// Turns a matrix stored column after column (a column has one pixel of every image) into images, block by
/// block. `side`: the images in it are square and transposed.
fn write_rows(
    columns: &Columns,
    side: Option<usize>,
    writer: &mut CacheWriter,
    path: &Path,
) -> Result<(), DatasetError> {
    let pixels = columns.count_columns();
    let count = columns.count();
    let block = (BLOCK_BYTES / pixels).max(1);
    let mut rows = vec![0; block * pixels];
    let mut column = vec![0; block];
    let mut first = 0;
    while first < count {
        let images = block.min(usize::try_from(count - first).unwrap_or(block));
        for stored in 0..pixels {
            let column = &mut column[..images];
            read_at(columns.file(), column, stored as u64 * count + first, path)?;
            let upright = side.map_or(stored, |side| upright_index(stored, side, side));
            for (row, pixel) in rows.chunks_exact_mut(pixels).zip(column) {
                row[upright] = *pixel;
            }
        }
        writer.write(&rows[..images * pixels])?;
        first += images as u64;
    }
    Ok(())
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64, path: &Path) -> Result<(), DatasetError> {
    file.read_exact_at(buffer, offset).map_err(DatasetError::io(path, "read back the unpacked images of"))
}

fn check(shape: &Shape, path: &Path) -> Result<(), DatasetError> {
    shape
        .check()
        .map_err(|error| DatasetError::format(path, format!("{} {}", error.field, error.found), error.wanted))
}

#[cfg(test)]
mod tests;
