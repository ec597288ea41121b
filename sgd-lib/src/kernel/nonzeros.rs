//! Products with the input images, of which most pixels are blank.
//!
//! Two in three pixels of a handwritten character are zero, and neither the product nor
//! its gradient needs them. Both kernels walk pixel by pixel: a pixel's row of weights
//! is read once for all samples, and its row of the gradient is summed in registers and
//! written once.

use super::rows::Rows;
use super::simd::{LANES, fma, multiversion};

/// A sample's number is stored in what is left of 32 bits beside the pixel.
const MAX_SAMPLES: usize = 1 << 24;

/// The least width of a layer that the kernels can do: they read whole vectors, and what
/// they read beyond the last row of weights must still be the row of biases.
const MIN_WIDTH: usize = LANES / 2;

/// The pixels of a minibatch that are not blank.
#[derive(Debug)]
pub(crate) struct Nonzeros {
    /// Room for `capacity` entries per pixel, each `sample << 8 | value`, samples ascending.
    entries: Vec<u32>,
    /// How many of them are in use, per pixel.
    counts: Vec<u32>,
    capacity: usize,
    samples: usize,
}

impl Nonzeros {
    /// Room for `capacity` images of `pixels` pixels.
    ///
    /// # Panics
    /// If `capacity` exceeds 2²⁴.
    pub(crate) fn new(pixels: usize, capacity: usize) -> Self {
        assert!(capacity <= MAX_SAMPLES, "a minibatch of {capacity}; at most {MAX_SAMPLES} are allowed");
        Self { entries: vec![0; pixels * capacity], counts: vec![0; pixels], capacity, samples: 0 }
    }

    /// Takes in a minibatch and returns how many of its pixels are not blank.
    ///
    /// # Panics
    /// If there are more images than there is room for, or one has another size.
    pub(crate) fn load<'a>(&mut self, images: impl Iterator<Item = &'a [u8]>) -> usize {
        self.counts.fill(0);
        self.samples = 0;
        for image in images {
            assert_eq!(image.len(), self.counts.len(), "pixels of an image");
            assert!(self.samples < self.capacity, "more images than the {} there is room for", self.capacity);
            self.append(image);
            self.samples += 1;
        }
        self.counts.iter().map(|&count| count as usize).sum()
    }

    fn append(&mut self, image: &[u8]) {
        const BLOCK: usize = 8;
        let sample = (self.samples as u32) << 8;
        let blocks = image
            .chunks(BLOCK)
            .zip(self.counts.chunks_mut(BLOCK))
            .zip(self.entries.chunks_mut(BLOCK * self.capacity));
        for ((pixels, counts), entries) in blocks {
            // Blank pixels come in runs.
            if pixels.iter().fold(0, |seen, &pixel| seen | pixel) == 0 {
                continue;
            }
            for ((&pixel, count), entries) in
                pixels.iter().zip(counts).zip(entries.chunks_exact_mut(self.capacity))
            {
                // Written in any case and kept only if counted: no branch to mispredict.
                entries[*count as usize] = sample | u32::from(pixel);
                *count += u32::from(pixel != 0);
            }
        }
    }

    /// Whether the kernels can do a layer of this width.
    pub(crate) fn supports(width: usize) -> bool {
        width >= MIN_WIDTH
    }
}

/// The pixel as the network sees it, 0 to 1.
#[inline(always)]
pub(crate) fn scale(pixel: u8) -> f32 {
    f32::from(pixel) * (1.0 / 255.0)
}

/// The sample and the scaled pixel of an entry.
#[inline(always)]
fn unpack(entry: u32) -> (usize, f32) {
    ((entry >> 8) as usize, scale(entry as u8))
}

/// Calls `$block::<FMA, N>(…, column)` for blocks of `N` columns until `stride` is covered.
/// `N` is a compile-time constant so that a block lives in registers: 112 columns are seven
/// of AVX-512's registers, or fourteen of AVX2's sixteen.
macro_rules! by_column_blocks {
    ($stride:expr, $block:ident($($argument:expr),*)) => {{
        let mut column = 0;
        while column < $stride {
            column += match $stride - column {
                ..32 => $block::<FMA, 16>($($argument,)* column),
                ..64 => $block::<FMA, 32>($($argument,)* column),
                ..112 => $block::<FMA, 64>($($argument,)* column),
                _ => $block::<FMA, 112>($($argument,)* column),
            };
        }
    }};
}

multiversion! {
    /// `out += images · weights`. `layer` holds the weights and, right behind them, the
    /// biases, as in the flat parameter vector; `out` has a row per sample.
    fn multiply_nonzeros(images: &Nonzeros, layer: &[f32], out: &mut Rows) = forward
}

#[inline(always)]
fn forward<const FMA: bool>(images: &Nonzeros, layer: &[f32], out: &mut Rows) {
    let (width, stride) = (out.width(), out.stride());
    assert!(Nonzeros::supports(width), "a layer of {width}; at least {MIN_WIDTH} are needed");
    assert_eq!(layer.len(), (images.counts.len() + 1) * width, "parameters of the input layer");
    let out = out.padded_mut(images.samples);
    by_column_blocks!(stride, forward_block(images, layer, width, stride, out));
}

#[inline(always)]
fn forward_block<const FMA: bool, const N: usize>(
    images: &Nonzeros,
    layer: &[f32],
    width: usize,
    stride: usize,
    out: &mut [f32],
    column: usize,
) -> usize {
    let rows = images.counts.iter().zip(images.entries.chunks_exact(images.capacity)).enumerate();
    for (pixel, (&count, entries)) in rows {
        // Reads beyond the row for the columns that are padding in `out`.
        let Some(weights) = layer[pixel * width + column..].first_chunk::<N>() else { break };
        for &entry in &entries[..count as usize] {
            let (sample, value) = unpack(entry);
            let Some(sums) = out[sample * stride + column..].first_chunk_mut::<N>() else { break };
            for (sum, &weight) in sums.iter_mut().zip(weights) {
                *sum = fma::<FMA>(value, weight, *sum);
            }
        }
    }
    N
}

multiversion! {
    /// `gradient = imagesᵀ · delta`: `gradient` has a row per pixel, `delta` one per sample.
    fn nonzeros_gradient(images: &Nonzeros, delta: &Rows, gradient: &mut [f32]) = backward
}

#[inline(always)]
fn backward<const FMA: bool>(images: &Nonzeros, delta: &Rows, gradient: &mut [f32]) {
    let (width, stride) = (delta.width(), delta.stride());
    assert_eq!(gradient.len(), images.counts.len() * width, "gradient of the input layer's weights");
    let delta = delta.padded(images.samples);
    by_column_blocks!(stride, backward_block(images, delta, stride, width, gradient));
}

#[inline(always)]
fn backward_block<const FMA: bool, const N: usize>(
    images: &Nonzeros,
    delta: &[f32],
    stride: usize,
    width: usize,
    gradient: &mut [f32],
    column: usize,
) -> usize {
    let used = N.min(width - column);
    let rows = images.counts.iter().zip(images.entries.chunks_exact(images.capacity));
    for ((&count, entries), gradient) in rows.zip(gradient.chunks_exact_mut(width)) {
        let mut sums = [0.0; N];
        for &entry in &entries[..count as usize] {
            let (sample, value) = unpack(entry);
            let Some(delta) = delta[sample * stride + column..].first_chunk::<N>() else { break };
            for (sum, &delta) in sums.iter_mut().zip(delta) {
                *sum = fma::<FMA>(value, delta, *sum);
            }
        }
        gradient[column..column + used].copy_from_slice(&sums[..used]);
    }
    N
}
