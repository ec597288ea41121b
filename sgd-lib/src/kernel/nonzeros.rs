//! Products with the input images, of which most pixels are blank.
//!
//! Two in three pixels of a handwritten character are zero, and neither the product nor
//! its gradient needs them. Both kernels walk pixel by pixel: a pixel's row of weights
//! is read once for all samples, and its row of the gradient is summed in registers and
//! written once.

use std::iter;
use std::ops::Range;

use super::compaction::{Pairs, compact};
use super::rows::Rows;
#[cfg(target_arch = "x86_64")]
use super::simd::AVX2;
use super::simd::{AVX512, LANES, Simd, fma, multiversion};
#[cfg(target_arch = "x86_64")]
use super::vector::{Avx2, Avx512};
use super::vector::{Portable, Registers, Vector};

/// A sample's number is stored in what is left of 32 bits beside two pixels.
const MAX_SAMPLES: usize = 1 << 16;

/// The least width of a layer that the kernels can do: they read whole vectors, and what
/// they read beyond the last row of weights must still be the row of biases.
const MIN_WIDTH: usize = LANES / 2;

/// The pixels of a minibatch that are not blank, in pairs of neighbours: where one has ink,
/// the other mostly has too, and a pair needs half the loads and stores of two pixels.
#[derive(Debug)]
pub(crate) struct Nonzeros {
    pairs: Pairs,
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
        Self { pairs: Pairs::new(pixels.div_ceil(2), capacity), pixels, capacity, samples: 0 }
    }

    /// Takes in a minibatch, image after image.
    ///
    /// # Panics
    /// If there are more images than there is room for.
    pub(crate) fn load(&mut self, simd: Simd, images: &[u8]) {
        self.samples = images.len() / self.pixels;
        assert!(self.samples <= self.capacity, "{} images; room is for {}", self.samples, self.capacity);
        compact(simd, images, self.pixels, &mut self.pairs);
    }

    /// Whether the kernels can do a layer of this width.
    pub(crate) fn supports(width: usize) -> bool {
        width >= MIN_WIDTH
    }
}

/// Each pixel value as the network sees it, 0 to 1.
static SCALED: [f32; 256] = {
    let mut scaled = [0.0; 256];
    let mut pixel = 0;
    while pixel < 256 {
        scaled[pixel] = pixel as f32 / 255.0;
        pixel += 1;
    }
    scaled
};

multiversion! {
    /// Pixels as the network sees them, 0 to 1.
    fn widen(pixels: &[u8], values: &mut [f32]) = widen_all
}

#[inline(always)]
fn widen_all<const SIMD: u8>(pixels: &[u8], values: &mut [f32]) {
    const SHARE: f32 = 1.0 / 255.0;
    for (value, &pixel) in values.iter_mut().zip(pixels) {
        let pixel = f32::from(pixel);
        // What is left over makes it what a division would give, to the bit.
        let quotient = pixel * SHARE;
        *value = fma::<SIMD>(fma::<SIMD>(-quotient, 255.0, pixel), SHARE, quotient);
    }
}

/// The pixel as the network sees it, 0 to 1.
#[inline(always)]
fn scale(pixel: u8) -> f32 {
    SCALED[usize::from(pixel)]
}

/// The sample and the two scaled pixels of an entry.
#[inline(always)]
fn unpack(entry: u32) -> (usize, f32, f32) {
    ((entry >> 16) as usize, scale(entry as u8), scale((entry >> 8) as u8))
}

/// The `N` values from `start` on.
#[inline(always)]
#[expect(clippy::expect_used, reason = "as indexing: too short a slice is a bug of this file")]
fn block<const N: usize>(values: &[f32], start: usize) -> &[f32; N] {
    values[start..].first_chunk().expect("rows have room for whole blocks")
}

/// The same, to write to.
#[inline(always)]
#[expect(clippy::expect_used, reason = "as indexing: too short a slice is a bug of this file")]
fn block_mut<const N: usize>(values: &mut [f32], start: usize) -> &mut [f32; N] {
    values[start..].first_chunk_mut().expect("rows have room for whole blocks")
}

/// Calls `$block::<SIMD, N>(…, column)` for blocks of `N` columns, the last ones first, until `stride` is covered.
/// `N` is a compile-time constant so that two rows of a block live in registers: of 112
/// columns they are fourteen of AVX-512's 32, of 48 columns twelve of AVX2's sixteen.
macro_rules! by_column_blocks {
    ($stride:expr, $block:ident($($argument:expr),*)) => {{
        let mut end = $stride;
        while end > 0 {
            end -= match end {
                112.. if SIMD == AVX512 => $block::<SIMD, 112>($($argument,)* end - 112),
                48.. => $block::<SIMD, 48>($($argument,)* end - 48),
                32.. => $block::<SIMD, 32>($($argument,)* end - 32),
                _ => $block::<SIMD, 16>($($argument,)* end - 16),
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
fn forward<const SIMD: u8>(images: &Nonzeros, layer: &[f32], out: &mut Rows) {
    let (width, stride) = (out.width(), out.stride());
    assert!(Nonzeros::supports(width), "a layer of {width}; at least {MIN_WIDTH} are needed");
    assert_eq!(layer.len(), (images.pixels + 1) * width, "parameters of the input layer");
    let out = out.padded_mut(images.samples);
    by_column_blocks!(stride, forward_block(images, layer, width, stride, out));
}

#[inline(always)]
fn forward_block<const SIMD: u8, const N: usize>(
    images: &Nonzeros,
    layer: &[f32],
    width: usize,
    stride: usize,
    out: &mut [f32],
    column: usize,
) -> usize {
    for (pair, entries) in images.pairs.lists(0).enumerate() {
        // Reads beyond the row for the columns that are padding in `out`. Where the number of
        // pixels is odd, the last pair's second pixel is zero, and any row will do.
        let (left, right) = (2 * pair, (2 * pair + 1).min(images.pixels - 1));
        // Copies, as nobody else can change those: they stay in registers.
        let left: [f32; N] = *block(layer, left * width + column);
        let right: [f32; N] = *block(layer, right * width + column);
        for &entry in entries {
            let (sample, x, y) = unpack(entry);
            let sums: &mut [f32; N] = block_mut(out, sample * stride + column);
            for ((sum, &left), &right) in sums.iter_mut().zip(&left).zip(&right) {
                *sum = fma::<SIMD>(y, right, fma::<SIMD>(x, left, *sum));
            }
        }
    }
    N
}

/// What a gradient is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors<'a> {
    /// One factor of each product.
    pub(crate) images: &'a Nonzeros,
    /// What is added to each pixel in all images: nothing where it is blank in all of them.
    pub(crate) shift: &'a [f32],
    /// The other factor, a row an image and then a row with their sum. All padding is zero.
    pub(crate) delta: &'a Rows,
}

multiversion! {
    /// `gradient = (images + shift)ᵀ · delta`, or with `add` `gradient += …`, of these pixels, the first of which has
    /// an even number: `gradient` has a row per pixel. What follows its last row, if anything does, is left as it is.
    fn nonzeros_gradient(factors: &Factors<'_>, pixels: Range<usize>, add: bool, gradient: &mut [f32]) = backward
}

#[inline(always)]
fn backward<const SIMD: u8>(factors: &Factors<'_>, pixels: Range<usize>, add: bool, gradient: &mut [f32]) {
    assert!(pixels.start.is_multiple_of(2) && pixels.end <= factors.images.pixels, "pixels {pixels:?}");
    assert!(gradient.len() >= pixels.len() * factors.delta.width(), "gradient of the input layer's weights");
    match SIMD {
        #[cfg(target_arch = "x86_64")]
        AVX512 => by_columns::<Avx512>(factors, &pixels, add, gradient),
        #[cfg(target_arch = "x86_64")]
        AVX2 => by_columns::<Avx2>(factors, &pixels, add, gradient),
        _ => by_columns::<Portable>(factors, &pixels, add, gradient),
    }
}

/// As many vectors of two rows at a time as there are registers for, the last ones first.
#[inline(always)]
fn by_columns<T: Registers>(factors: &Factors<'_>, pixels: &Range<usize>, add: bool, gradient: &mut [f32]) {
    let mut end = factors.delta.stride() / LANES;
    while end > 0 {
        end -= match (T::COUNT, end) {
            (28, 7..) => backward_block::<T, 7>(factors, pixels, add, gradient, end - 7),
            (28, 4..) => backward_block::<T, 4>(factors, pixels, add, gradient, end - 4),
            (_, 3..) => backward_block::<T, 3>(factors, pixels, add, gradient, end - 3),
            (_, 2) => backward_block::<T, 2>(factors, pixels, add, gradient, end - 2),
            _ => backward_block::<T, 1>(factors, pixels, add, gradient, end - 1),
        };
    }
}

/// `V` vectors of each row from the one with the number `vector` on. Returns `V`.
#[inline(always)]
fn backward_block<T: Registers, const V: usize>(
    factors: &Factors<'_>,
    pixels: &Range<usize>,
    add: bool,
    gradient: &mut [f32],
    vector: usize,
) -> usize {
    let Factors { images, shift, delta } = *factors;
    let (width, stride, column) = (delta.width(), delta.stride() / LANES, vector * LANES);
    let (delta, _) = delta.padded(images.samples + 1).as_chunks::<LANES>();
    let pairs = shift[pixels.clone()].chunks(2).zip(images.pairs.lists(pixels.start / 2));
    for (index, (shift, entries)) in pairs.enumerate() {
        if add && entries.is_empty() {
            continue;
        }
        let (mut left, mut right) = ([T::Whole::splat(0.0); V], [T::Whole::splat(0.0); V]);
        let sums = (images.samples, shift[0], shift.get(1).copied().unwrap_or_default());
        for (sample, x, y) in iter::once(sums).chain(entries.iter().map(|&entry| unpack(entry))) {
            let Some(delta) = delta[sample * stride + vector..].first_chunk::<V>() else { break };
            let (x, y) = (T::Whole::splat(x), T::Whole::splat(y));
            for v in 0..V {
                let delta = T::Whole::load(&delta[v]);
                left[v] = left[v].add_scaled(x, delta);
                right[v] = right[v].add_scaled(y, delta);
            }
        }
        for (row, sums) in [left, right].iter().enumerate().take(shift.len()) {
            let start = (2 * index + row) * width;
            put(sums, width - column, add, &mut gradient[start + column..]);
        }
    }
    V
}

/// Writes the sums to where there are `used` values left of a row, or adds them. What follows the row is written
/// later and by then only zeros are added to it: so they are whole vectors, as long as there is room.
#[inline(always)]
fn put<T: Vector<LANES>, const V: usize>(sums: &[T; V], used: usize, add: bool, row: &mut [f32]) {
    let (whole, rest) = row.as_chunks_mut::<LANES>();
    for v in 0..V {
        if let Some(target) = whole.get_mut(v) {
            let sum = if add { T::load(target).add(sums[v]) } else { sums[v] };
            sum.store(target);
        } else if v * LANES < used {
            let target = &mut rest[..used - v * LANES];
            let sum = if add { T::load_first(target).add(sums[v]) } else { sums[v] };
            sum.store_first(target);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::simd::Simd;
    use super::super::update::scale_and_sum;
    use super::*;

    /// Rows of values between −1 and 1.
    fn waves(rows: usize, width: usize, phase: f32) -> (Vec<f32>, Rows) {
        let values: Vec<f32> = (0..rows * width).map(|i| (i as f32 * 0.7 + phase).sin()).collect();
        let mut padded = Rows::new(rows, width);
        let stride = padded.stride();
        for (target, row) in padded.padded_mut(rows).chunks_mut(stride).zip(values.chunks(width)) {
            target[..width].copy_from_slice(row);
            target[width..].fill(f32::NAN);
        }
        (values, padded)
    }

    fn close(found: f32, exact: f64) -> bool {
        (f64::from(found) - exact).abs() < 1e-5 * (1.0 + exact.abs())
    }

    /// Both products against naive loops, with every instruction set.
    fn check(pixels: usize, width: usize, images: &[u8]) {
        let samples = images.len() / pixels;
        let mut nonzeros = Nonzeros::new(pixels, samples + 1);
        let x = |sample: usize, pixel: usize| f64::from(images[sample * pixels + pixel]) / 255.0;
        let (layer, _) = waves(pixels + 1, width, 0.0);
        let is_blank = |pixel| (0..samples).all(|sample| x(sample, pixel) == 0.0);
        let shift: Vec<f32> = (0..pixels).map(|p| if is_blank(p) { 0.0 } else { -0.01 * p as f32 }).collect();
        for simd in Simd::available() {
            // What an earlier, fuller minibatch left behind must not show.
            nonzeros.load(simd, &vec![255; pixels * (samples + 1)]);
            nonzeros.load(simd, images);
            let (start, mut out) = waves(samples, width, 1.0);
            multiply_nonzeros(simd, &nonzeros, &layer, &mut out);
            let (delta, mut padded) = waves(samples + 1, width, 2.0);
            scale_and_sum(simd, 1.0, samples, &mut padded);
            let factors = Factors { images: &nonzeros, shift: &shift, delta: &padded };
            let mut gradient = vec![f32::NAN; pixels * width];
            // In two parts.
            let (first, second) = gradient.split_at_mut(pixels / 4 * 2 * width);
            nonzeros_gradient(simd, &factors, 0..pixels / 4 * 2, false, first);
            nonzeros_gradient(simd, &factors, pixels / 4 * 2..pixels, false, second);
            let mut added = layer.clone();
            nonzeros_gradient(simd, &factors, 0..pixels, true, &mut added);
            assert_eq!(added[pixels * width..], layer[pixels * width..], "{simd:?}");
            for column in 0..width {
                for (sample, row) in out.iter(samples).enumerate() {
                    let sum: f64 =
                        (0..pixels).map(|p| x(sample, p) * f64::from(layer[p * width + column])).sum();
                    assert!(close(row[column], sum + f64::from(start[sample * width + column])), "{simd:?}");
                }
                for (pixel, &shift) in shift.iter().enumerate() {
                    let x = |sample| x(sample, pixel) + f64::from(shift);
                    let sum: f64 = (0..samples).map(|s| x(s) * f64::from(delta[s * width + column])).sum();
                    let index = pixel * width + column;
                    assert!(close(gradient[index], sum), "{simd:?}");
                    assert!(close(added[index], f64::from(layer[index]) + sum), "{simd:?}");
                }
            }
        }
    }

    #[test]
    fn every_block_of_columns() {
        let images: Vec<u8> = (0..3 * 21).map(|i| if i % 4 < 2 { (i * 37) as u8 } else { 0 }).collect();
        for width in [8, 15, 16, 17, 31, 33, 47, 48, 49, 63, 65, 100, 112, 113, 128, 160, 240] {
            check(21, width, &images);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn as_naive_loops(
            (pixels, images) in (1usize..40, 0usize..9).prop_flat_map(|(pixels, samples)| {
                let pixel = prop_oneof![3 => Just(0u8), 1 => any::<u8>()];
                (Just(pixels), prop::collection::vec(pixel, pixels * samples))
            }),
            width in 8usize..130,
        ) {
            check(pixels, width, &images);
        }
    }

    #[test]
    fn pixels_are_scaled_alike_wherever_they_are() {
        let pixels: Vec<u8> = (0..=255).collect();
        for simd in Simd::available() {
            let mut found = vec![0.0; 256];
            widen(simd, &pixels, &mut found);
            for (&pixel, found) in pixels.iter().zip(found) {
                assert!((found - scale(pixel)).abs() <= f32::EPSILON / 2.0 * found, "{pixel} with {simd:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "3 images; room is for 2")]
    fn too_many_images_are_refused() {
        Nonzeros::new(4, 2).load(Simd::detect(), &[0; 12]);
    }
}
