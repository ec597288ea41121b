//! Products with the input images, of which most pixels are blank.
//!
//! Two in three pixels of a handwritten character are zero, and neither the product nor
//! its gradient needs them. Both kernels walk pixel by pixel: a pixel's row of weights
//! is read once for all samples, and its row of the gradient is summed in registers and
//! written once.

use super::rows::Rows;
use super::simd::{LANES, fma, multiversion};

/// A sample's number is stored in what is left of 32 bits beside two pixels.
const MAX_SAMPLES: usize = 1 << 16;

/// The least width of a layer that the kernels can do: they read whole vectors, and what
/// they read beyond the last row of weights must still be the row of biases.
const MIN_WIDTH: usize = LANES / 2;

/// The pixels of a minibatch that are not blank, in pairs of neighbours: where one has ink,
/// the other mostly has too, and a pair needs half the loads and stores of two pixels.
#[derive(Debug)]
pub(crate) struct Nonzeros {
    /// Room for `capacity` entries per pair, each `sample << 16 | right << 8 | left`, samples ascending.
    entries: Vec<u32>,
    /// How many of them are in use, per pair.
    counts: Vec<u32>,
    pixels: usize,
    capacity: usize,
    samples: usize,
}

impl Nonzeros {
    /// Room for `capacity` images of `pixels` pixels.
    ///
    /// # Panics
    /// If `capacity` exceeds 2¹⁶.
    pub(crate) fn new(pixels: usize, capacity: usize) -> Self {
        assert!(capacity <= MAX_SAMPLES, "a minibatch of {capacity}; at most {MAX_SAMPLES} are allowed");
        let pairs = pixels.div_ceil(2);
        Self { entries: vec![0; pairs * capacity], counts: vec![0; pairs], pixels, capacity, samples: 0 }
    }

    /// Takes in a minibatch, image after image, and returns how many of its pairs of pixels
    /// are not blank.
    ///
    /// # Panics
    /// If there are more images than there is room for.
    pub(crate) fn load(&mut self, images: &[u8]) -> usize {
        self.counts.fill(0);
        self.samples = images.len() / self.pixels;
        assert!(self.samples <= self.capacity, "{} images; room is for {}", self.samples, self.capacity);
        for (sample, image) in images.chunks_exact(self.pixels).enumerate() {
            self.append(sample as u32, image);
        }
        self.counts.iter().map(|&count| count as usize).sum()
    }

    fn append(&mut self, sample: u32, image: &[u8]) {
        const BLOCK: usize = 8;
        let (blocks, rest) = image.as_chunks::<BLOCK>();
        let mut last = [0; BLOCK];
        last[..rest.len()].copy_from_slice(rest);
        for (index, &pixels) in blocks.iter().chain([&last]).enumerate() {
            let mut pixels = u64::from_le_bytes(pixels);
            let mut pair = index * BLOCK / 2;
            // Blank pixels come in runs.
            while pixels != 0 {
                // Written in any case and kept only if counted: no branch to mispredict.
                let count = &mut self.counts[pair];
                self.entries[pair * self.capacity + *count as usize] =
                    sample << 16 | (pixels as u32 & 0xFFFF);
                *count += u32::from(pixels as u16 != 0);
                pixels >>= 16;
                pair += 1;
            }
        }
    }

    /// Whether the kernels can do a layer of this width.
    pub(crate) fn supports(width: usize) -> bool {
        width >= MIN_WIDTH
    }
}

/// A pixel as the network sees it, 0 to 1, at its index.
static SCALED: [f32; 256] = {
    let mut scaled = [0.0; 256];
    let mut pixel = 0;
    while pixel < 256 {
        scaled[pixel] = pixel as f32 / 255.0;
        pixel += 1;
    }
    scaled
};

/// The pixel as the network sees it, 0 to 1.
#[inline(always)]
pub(crate) fn scale(pixel: u8) -> f32 {
    SCALED[usize::from(pixel)]
}

/// The sample and the two scaled pixels of an entry.
#[inline(always)]
fn unpack(entry: u32) -> (usize, f32, f32) {
    ((entry >> 16) as usize, scale(entry as u8), scale((entry >> 8) as u8))
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
    assert_eq!(layer.len(), (images.pixels + 1) * width, "parameters of the input layer");
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
    let pairs = images.counts.iter().zip(images.entries.chunks_exact(images.capacity)).enumerate();
    for (pair, (&count, entries)) in pairs {
        // Reads beyond the row for the columns that are padding in `out`. Where the number of
        // pixels is odd, the last pair's second row is the biases': its pixel is zero.
        let left = &layer[2 * pair * width + column..];
        let right = &layer[(2 * pair + 1) * width + column..];
        // Copies, as nobody else can change those: they stay in registers.
        let (Some(&left), Some(&right)) = (left.first_chunk::<N>(), right.first_chunk::<N>()) else { break };
        for &entry in &entries[..count as usize] {
            let (sample, x, y) = unpack(entry);
            let Some(sums) = out[sample * stride + column..].first_chunk_mut::<N>() else { break };
            for ((sum, &left), &right) in sums.iter_mut().zip(&left).zip(&right) {
                *sum = fma::<FMA>(y, right, fma::<FMA>(x, left, *sum));
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
    assert_eq!(gradient.len(), images.pixels * width, "gradient of the input layer's weights");
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
    let pairs = images.counts.iter().zip(images.entries.chunks_exact(images.capacity));
    for ((&count, entries), gradient) in pairs.zip(gradient.chunks_mut(2 * width)) {
        let (mut left, mut right) = ([0.0; N], [0.0; N]);
        for &entry in &entries[..count as usize] {
            let (sample, x, y) = unpack(entry);
            let Some(delta) = delta[sample * stride + column..].first_chunk::<N>() else { break };
            for ((left, right), &delta) in left.iter_mut().zip(&mut right).zip(delta) {
                *left = fma::<FMA>(x, delta, *left);
                *right = fma::<FMA>(y, delta, *right);
            }
        }
        let mut rows = gradient.chunks_exact_mut(width);
        for sums in [left, right] {
            let Some(row) = rows.next() else { break };
            row[column..column + used].copy_from_slice(&sums[..used]);
        }
    }
    N
}
