//! Images without their blank pixels, pixel by pixel instead of image by image.

#[cfg(target_arch = "x86_64")]
use super::simd::AVX512;
use super::simd::{LANES, multiversion};

/// A minibatch's pairs of pixels that are not both blank.
#[derive(Debug)]
pub(super) struct Pairs {
    /// Room for `capacity` entries per pair, each `sample << 16 | right << 8 | left`, samples ascending.
    entries: Vec<u32>,
    /// How many of them are in use, per pair.
    counts: Vec<u32>,
    /// A whole number of vectors.
    capacity: usize,
}

impl Pairs {
    /// Room for this many pairs of `capacity` images.
    pub(super) fn new(pairs: usize, capacity: usize) -> Self {
        let capacity = capacity.max(1).next_multiple_of(LANES);
        Self { entries: vec![0; pairs * capacity], counts: vec![0; pairs], capacity }
    }

    /// Each pair's entries, from the pair number `first` on.
    #[inline(always)]
    pub(super) fn lists(&self, first: usize) -> impl Iterator<Item = &[u32]> {
        let lists = self.entries[first * self.capacity..].chunks_exact(self.capacity);
        lists.zip(&self.counts[first..]).map(|(entries, &count)| &entries[..count as usize])
    }
}

multiversion! {
    /// How many pairs of pixels are not both blank.
    fn inked_pairs(pixels: &[u8]) -> usize = count_inked
}

#[inline(always)]
fn count_inked<const SIMD: u8>(pixels: &[u8]) -> usize {
    // Narrow sums, so that a vector holds many: they can't overflow.
    const BLOCK: usize = 1 << 10;
    let (pairs, _) = pixels.as_chunks::<2>();
    let inked =
        |pairs: &[[u8; 2]]| pairs.iter().map(|&pair| u16::from(u16::from_le_bytes(pair) != 0)).sum::<u16>();
    pairs.chunks(BLOCK).map(|pairs| usize::from(inked(pairs))).sum()
}

multiversion! {
    /// Replaces the pairs by those of these images, each of as many pixels. There must be room.
    fn compact(images: &[u8], pixels: usize, pairs: &mut Pairs) = compact_all
}

#[inline(always)]
fn compact_all<const SIMD: u8>(images: &[u8], pixels: usize, pairs: &mut Pairs) {
    pairs.counts.fill(0);
    #[cfg(target_arch = "x86_64")]
    if SIMD == AVX512 {
        for (group, images) in images.chunks(LANES * pixels).enumerate() {
            by_pairs((group * LANES) as u32, images, pixels, pairs);
        }
        return;
    }
    for (sample, image) in images.chunks_exact(pixels).enumerate() {
        by_images(sample as u32, image, pairs);
    }
}

/// Appends an image's pairs.
#[inline(always)]
fn by_images(sample: u32, image: &[u8], pairs: &mut Pairs) {
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
            let count = &mut pairs.counts[pair];
            pairs.entries[pair * pairs.capacity + *count as usize] = sample << 16 | (pixels as u32 & 0xFFFF);
            *count += u32::from(pixels as u16 != 0);
            pixels >>= 16;
            pair += 1;
        }
    }
}

/// Appends the pairs of up to sixteen images at once, of which the first is number `first`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn by_pairs(first: u32, images: &[u8], pixels: usize, pairs: &mut Pairs) {
    const BYTES: usize = 4 * LANES;
    let mut samples = [0; LANES];
    for (lane, sample) in samples.iter_mut().enumerate() {
        *sample = (first + lane as u32) << 16;
    }
    let mut lists = pairs.entries.chunks_exact_mut(pairs.capacity).zip(&mut pairs.counts);
    for start in (0..pixels).step_by(BYTES) {
        // Two pairs of each image a row.
        let mut turned = [[0u32; LANES]; LANES];
        for (sample, image) in images.chunks_exact(pixels).enumerate().take(LANES) {
            if let Some(line) = image[start..].first_chunk::<BYTES>() {
                turn(line, sample, &mut turned);
            } else {
                let mut line = [0; BYTES];
                line[..pixels - start].copy_from_slice(&image[start..]);
                turn(&line, sample, &mut turned);
            }
        }
        for (row, (entries, count)) in (0..2 * LANES).zip(lists.by_ref()) {
            let mut both = turned[row / 2];
            for pixels in &mut both {
                *pixels = *pixels >> (row % 2 * 16) & 0xFFFF;
            }
            if let Some(target) = entries[*count as usize..].first_chunk_mut() {
                *count += x86::keep(&both, &samples, target);
            }
        }
    }
}

/// Writes a line of an image to a column.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn(line: &[u8; 4 * LANES], column: usize, turned: &mut [[u32; LANES]; LANES]) {
    let (quadruples, _) = line.as_chunks::<4>();
    for (row, &pixels) in turned.iter_mut().zip(quadruples) {
        row[column] = u32::from_le_bytes(pixels);
    }
}

#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "intrinsics; called only where `multiversion!` compiles for AVX-512")]
mod x86 {
    use std::arch::x86_64::{
        _mm512_loadu_si512, _mm512_maskz_compress_epi32, _mm512_or_si512, _mm512_storeu_si512,
        _mm512_test_epi32_mask,
    };

    use super::LANES;

    /// Writes those of `pixels` that are not zero, each with its sample, one after the other; what follows them in
    /// `target` is lost. Returns how many they are.
    #[inline(always)]
    pub(super) fn keep(pixels: &[u32; LANES], samples: &[u32; LANES], target: &mut [u32; LANES]) -> u32 {
        // SAFETY: only called on processors with AVX-512F; loads and stores are of sixteen values that are borrowed.
        unsafe {
            let values = _mm512_loadu_si512(pixels.as_ptr().cast());
            let mask = _mm512_test_epi32_mask(values, values);
            let entries = _mm512_or_si512(values, _mm512_loadu_si512(samples.as_ptr().cast()));
            _mm512_storeu_si512(target.as_mut_ptr().cast(), _mm512_maskz_compress_epi32(mask, entries));
            mask.count_ones()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Simd;
    use super::*;

    /// A third of the pixels has ink.
    fn images(count: usize) -> Vec<u8> {
        (0..count).map(|i| if i % 7 < 2 || i % 11 == 0 { (i * 37) as u8 } else { 0 }).collect()
    }

    #[test]
    fn each_pair_lists_the_images_with_ink_in_their_order() {
        for (pixels, samples) in [(1, 1), (2, 16), (63, 15), (64, 17), (65, 33), (130, 40), (784, 32)] {
            let images = images(pixels * samples);
            let value = |sample: usize, pixel: usize| {
                if pixel < pixels { u32::from(images[sample * pixels + pixel]) } else { 0 }
            };
            for simd in Simd::available() {
                let mut pairs = Pairs::new(pixels.div_ceil(2), samples);
                // What was there before must not show.
                compact(simd, &vec![9; pixels * samples], pixels, &mut pairs);
                compact(simd, &images, pixels, &mut pairs);
                assert_eq!(pairs.lists(0).count(), pixels.div_ceil(2));
                for (pair, entries) in pairs.lists(0).enumerate() {
                    let both = |sample| value(sample, 2 * pair + 1) << 8 | value(sample, 2 * pair);
                    let wanted = (0..samples).filter(|&sample| both(sample) != 0);
                    let wanted: Vec<u32> =
                        wanted.map(|sample| (sample as u32) << 16 | both(sample)).collect();
                    assert_eq!(entries, wanted, "pair {pair} of {samples} × {pixels} with {simd:?}");
                }
            }
        }
    }

    #[test]
    fn inked_pairs_are_counted() {
        let images = images(100_001);
        let wanted = images.chunks_exact(2).filter(|pair| **pair != [0, 0]).count();
        for simd in Simd::available() {
            assert_eq!(inked_pairs(simd, &images), wanted);
            assert_eq!(inked_pairs(simd, &[255; 100_000]), 50_000);
        }
    }
}
