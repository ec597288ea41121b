//! What centred images add to the products with images as they are.

use super::simd::{LANES, fma, multiversion};

multiversion! {
    /// Sets `shift` to minus the mean of each pixel, but to zero where it is blank in all images. Returns nothing
    /// of `ink`, which is room for a value a pixel.
    fn shift(images: &[u8], means: &[f32], ink: &mut [u8], shift: &mut [f32]) = shift_all
}

#[inline(always)]
fn shift_all<const SIMD: u8>(images: &[u8], means: &[f32], ink: &mut [u8], shift: &mut [f32]) {
    ink.fill(0);
    for image in images.chunks_exact(means.len()) {
        for (ink, &pixel) in ink.iter_mut().zip(image) {
            *ink |= pixel;
        }
    }
    for ((shift, &mean), &ink) in shift.iter_mut().zip(means).zip(&*ink) {
        *shift = if ink == 0 { 0.0 } else { -mean };
    }
}

multiversion! {
    /// For each image x the factor 1 + (x + shift)·shift, where x is scaled to 0 to 1.
    fn bias_factors(images: &[u8], shift: &[f32], factors: &mut [f32]) = bias_factors_all
}

#[inline(always)]
fn bias_factors_all<const SIMD: u8>(images: &[u8], shift: &[f32], factors: &mut [f32]) {
    const SHARE: f32 = 1.0 / 255.0;
    let term = |pixel: u8, shift: f32, sum: f32| {
        fma::<SIMD>(fma::<SIMD>(f32::from(pixel), SHARE, shift), shift, sum)
    };
    let (shifts, last_shifts) = shift.as_chunks::<LANES>();
    for (factor, image) in factors.iter_mut().zip(images.chunks_exact(shift.len())) {
        let (pixels, last_pixels) = image.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for (pixels, shifts) in pixels.iter().zip(shifts) {
            for lane in 0..LANES {
                sums[lane] = term(pixels[lane], shifts[lane], sums[lane]);
            }
        }
        let sum = sums.into_iter().sum();
        let last = last_pixels.iter().zip(last_shifts);
        *factor = 1.0 + last.fold(sum, |sum, (&pixel, &shift)| term(pixel, shift, sum));
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Simd;
    use super::*;

    #[test]
    fn pixels_that_are_blank_in_all_images_are_not_shifted() {
        let (images, means) = ([0, 3, 0, 0, 0, 255], [0.5, 0.25, 0.125]);
        for simd in Simd::available() {
            let (mut ink, mut found) = ([9; 3], [9.0; 3]);
            shift(simd, &images, &means, &mut ink, &mut found);
            assert_eq!(found, [0.0, -0.25, -0.125]);
        }
    }

    #[test]
    fn factors_of_images_longer_than_a_vector() {
        let pixels = 2 * LANES + 3;
        let images: Vec<u8> = (0..2 * pixels).map(|i| (i * 37) as u8).collect();
        let shift: Vec<f32> = (0..pixels).map(|i| -(i as f32 * 0.3).cos().abs()).collect();
        for simd in Simd::available() {
            let mut found = [0.0; 2];
            bias_factors(simd, &images, &shift, &mut found);
            for (image, found) in images.chunks(pixels).zip(found) {
                let terms = image.iter().zip(&shift).map(|(&x, &s)| (f32::from(x) / 255.0 + s) * s);
                let wanted = 1.0 + terms.sum::<f32>();
                assert!((found - wanted).abs() < 1e-4, "{found} instead of {wanted} with {simd:?}");
            }
        }
    }
}
