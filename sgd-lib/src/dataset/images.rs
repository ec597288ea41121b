//! One IDX file at a time, for predictions.

use std::path::Path;

use super::{
    DatasetError, Transpose,
    idx::{IdxImages, read_idx_labels},
};

/// No more pixels are read into memory: twice the images of EMNIST.
const MAX_PIXELS_IN_MEMORY: u64 = 1 << 30;

/// Images in memory, upright and row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// How many.
    pub count: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `count × height × width` pixels, 0 (blank) to 255.
    pub pixels: Vec<u8>,
}

/// Reads an IDX file of images, gzip or plain; at most 1 GiB of pixels.
///
/// # Errors
/// The file can't be read, is no IDX file of images, is truncated, has bytes left over, or is too large.
pub fn read_images(path: &Path, transpose: Transpose) -> Result<Images, DatasetError> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let images = IdxImages::open(path, transpose.of_idx(&file_name))?;
    let (width, height) = images.size();
    let count = images.count();
    let bytes = count * images.pixels() as u64;
    if bytes > MAX_PIXELS_IN_MEMORY {
        let found = format!("{count} images of {width}×{height} pixels");
        return Err(DatasetError::format(path, found, format!("at most {MAX_PIXELS_IN_MEMORY} pixels")));
    }
    let mut pixels = Vec::with_capacity(bytes as usize);
    images.read_all(|image| {
        pixels.extend_from_slice(image);
        Ok(())
    })?;
    Ok(Images { count: count as usize, width: width as usize, height: height as usize, pixels })
}

/// Reads an IDX file of labels, gzip or plain, as stored (`emnist-letters` counts from 1).
///
/// # Errors
/// The file can't be read, is no IDX file of labels, is truncated, or has bytes left over.
pub fn read_labels(path: &Path) -> Result<Vec<u8>, DatasetError> {
    read_idx_labels(path)
}
