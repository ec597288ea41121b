//! The images to predict: PNG or IDX files, brought to what the network takes.
//!
//! As in MNIST, ink is bright (255) and paper is dark (0).

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use png::{ColorType, Decoder, Limits, Transformations};
use sgd_lib::dataset::{Images, Transpose, read_images};

/// The value of `--transposed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transposed {
    /// Column after column.
    Yes,
    /// Row after row.
    No,
}

impl Transposed {
    /// What the flag says; without it, what the files' names say.
    pub(crate) fn or_by_name(flag: Option<Self>) -> Transpose {
        match flag {
            None => Transpose::Auto,
            Some(Self::Yes) => Transpose::Yes,
            Some(Self::No) => Transpose::No,
        }
    }
}

const PNG_SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
/// No decoder buffer grows beyond this: far more than an image of a fitting size needs.
const DECODER_LIMITS: Limits = Limits { bytes: 16 << 20 };

/// Reads every image of a file: one of a PNG, all of an IDX file (gzip or plain), for a network that
/// takes `inputs` pixels. `transpose` is for IDX files only, since a PNG is always upright.
///
/// # Errors
/// The file can't be read, is damaged, or its images have another size.
pub(crate) fn read(path: &Path, inputs: usize, transpose: Transpose) -> Result<Images> {
    let mut file = File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    let name = || path.display().to_string();
    if is_png(&mut file) {
        return read_png(BufReader::new(file), inputs).with_context(name);
    }
    let images = read_images(path, transpose)?;
    check_size(images.width, images.height, inputs).with_context(name)?;
    Ok(images)
}

fn is_png(file: &mut File) -> bool {
    let mut start = [0; PNG_SIGNATURE.len()];
    let found = file.read_exact(&mut start).is_ok() && start == PNG_SIGNATURE;
    found && file.seek(SeekFrom::Start(0)).is_ok()
}

/// The images that networks are trained on are square, as a rule.
fn check_size(width: usize, height: usize, inputs: usize) -> Result<()> {
    let side = inputs.isqrt();
    if side * side == inputs && (width, height) != (side, side) {
        bail!("images of {width}×{height} pixels; the network takes {side}×{side}");
    }
    if width.checked_mul(height) != Some(inputs) {
        bail!("images of {width}×{height} pixels; the network takes {inputs} pixels");
    }
    Ok(())
}

pub(crate) fn read_png(file: impl BufRead + Seek, inputs: usize) -> Result<Images> {
    let mut decoder = Decoder::new_with_limits(file, DECODER_LIMITS);
    // Palettes and small depths become 8 bits, 16 bits lose their lower half.
    decoder.set_transformations(Transformations::normalize_to_color8());
    let header = decoder.read_header_info()?;
    let (width, height) = (header.width as usize, header.height as usize);
    check_size(width, height, inputs)?;
    let mut reader = decoder.read_info()?;
    // The decoder (png 0.18.1) panics where it expands a palette that ends within a colour.
    if let Some(bytes) = reader.info().palette.as_ref().map(|palette| palette.len()).filter(|n| n % 3 != 0) {
        bail!("a palette of {bytes} bytes; a colour takes three");
    }
    let mut buffer = vec![0; reader.output_buffer_size().context("the image is too large")?];
    let frame = reader.next_frame(&mut buffer)?;
    let samples = &buffer[..frame.buffer_size()];
    let pixels = match frame.color_type {
        ColorType::Grayscale => samples.to_vec(),
        ColorType::GrayscaleAlpha => gray(samples, |[gray, alpha]: [u8; 2]| over_black(gray, alpha)),
        ColorType::Rgb => gray(samples, luma),
        ColorType::Rgba => gray(samples, |[r, g, b, alpha]: [u8; 4]| over_black(luma([r, g, b]), alpha)),
        ColorType::Indexed => bail!("the palette could not be expanded"),
    };
    Ok(Images { count: 1, width, height, pixels })
}

fn gray<const N: usize>(samples: &[u8], pixel: impl Fn([u8; N]) -> u8) -> Vec<u8> {
    samples.as_chunks::<N>().0.iter().map(|&sample| pixel(sample)).collect()
}

/// Brightness as television defines it (BT.601).
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let weighted = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    ((weighted + 500) / 1000) as u8
}

/// What is transparent is paper.
fn over_black(gray: u8, alpha: u8) -> u8 {
    ((u32::from(gray) * u32::from(alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use png::{BitDepth, Encoder};
    use tempfile::TempDir;

    use super::*;

    const SIZE: (u32, u32) = (2, 1);

    fn read_written(color: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("digit.png");
        write(&path, SIZE, color, depth, data);
        let images = read(&path, 2, Transpose::Yes).unwrap();
        assert_eq!((images.count, images.width, images.height), (1, 2, 1));
        images.pixels
    }

    fn write(path: &Path, (width, height): (u32, u32), color: ColorType, depth: BitDepth, data: &[u8]) {
        let mut encoder = Encoder::new(File::create(path).unwrap(), width, height);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(&[0, 0, 0, 255, 255, 255][..]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
    }

    #[test]
    fn every_colour_type_and_depth_becomes_gray() {
        use BitDepth::{Eight, One, Sixteen};
        assert_eq!(read_written(ColorType::Grayscale, Eight, &[3, 200]), [3, 200]);
        assert_eq!(read_written(ColorType::Grayscale, One, &[0b0100_0000]), [0, 255]);
        assert_eq!(read_written(ColorType::Grayscale, Sixteen, &[1, 255, 200, 0]), [1, 200]);
        assert_eq!(read_written(ColorType::GrayscaleAlpha, Eight, &[200, 0, 200, 255]), [0, 200]);
        assert_eq!(read_written(ColorType::Rgb, Eight, &[255, 0, 0, 255, 255, 255]), [76, 255]);
        assert_eq!(read_written(ColorType::Rgba, Eight, &[255, 255, 255, 128, 0, 0, 0, 255]), [128, 0]);
        assert_eq!(read_written(ColorType::Rgba, Sixteen, &[255; 16]), [255, 255]);
        assert_eq!(read_written(ColorType::Indexed, Eight, &[1, 0]), [255, 0]);
    }

    #[test]
    fn a_palette_that_ends_within_a_colour_is_refused() {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, SIZE.0, SIZE.1);
        encoder.set_color(ColorType::Indexed);
        encoder.set_palette(&[0, 0, 0, 255][..]);
        encoder.write_header().unwrap().write_image_data(&[0, 0]).unwrap();
        let error = read_png(std::io::Cursor::new(bytes), 2).unwrap_err().to_string();
        assert_eq!(error, "a palette of 4 bytes; a colour takes three");
    }

    #[test]
    fn another_size_names_both() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("digit.png");
        write(&path, SIZE, ColorType::Grayscale, BitDepth::Eight, &[3, 200]);
        let error = |inputs| format!("{:#}", read(&path, inputs, Transpose::Auto).unwrap_err());
        let message = error(784);
        assert!(message.ends_with("digit.png: images of 2×1 pixels; the network takes 28×28"), "{message}");
        assert!(error(3).ends_with("the network takes 3 pixels"));
    }

    #[test]
    fn damaged_and_foreign_files_are_errors_that_name_the_file() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("digit.png");
        write(&path, SIZE, ColorType::Rgb, BitDepth::Eight, &[9; 6]);
        let bytes = std::fs::read(&path).unwrap();
        for content in [&bytes[..bytes.len() / 2], &bytes[..9], b"GIF89a", b""] {
            std::fs::write(&path, content).unwrap();
            let error = format!("{:#}", read(&path, 2, Transpose::Auto).unwrap_err());
            assert!(error.contains("digit.png"), "{error}");
        }
    }
}
