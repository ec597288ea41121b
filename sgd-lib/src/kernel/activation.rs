//! tanh with dropout, and its slope.

use super::dropout::Mask;
use super::rows::Rows;
use super::simd::{LANES, fma, multiversion};

multiversion! {
    /// Replaces the first `count` rows by their tanh.
    fn tanh(count: usize, rows: &mut Rows) = tanh_all
}

#[inline(always)]
fn tanh_all<const SIMD: u8>(count: usize, rows: &mut Rows) {
    for value in rows.padded_mut(count) {
        *value = approximate_tanh::<SIMD>(*value);
    }
}

multiversion! {
    /// Replaces the first `count` rows by their tanh under the mask, and writes to `slopes`
    /// what the gradient has to be multiplied by on its way back: the same mask times 1 − tanh².
    fn tanh_dropout(count: usize, rows: &mut Rows, mask: Mask, slopes: &mut Rows) = tanh_dropout_all
}

#[inline(always)]
fn tanh_dropout_all<const SIMD: u8>(count: usize, rows: &mut Rows, mask: Mask, slopes: &mut Rows) {
    let (values, _) = rows.padded_mut(count).as_chunks_mut::<LANES>();
    let (slopes, _) = slopes.padded_mut(count).as_chunks_mut::<LANES>();
    for (vector, (values, slopes)) in values.iter_mut().zip(slopes).enumerate() {
        let factors = mask.factors(vector * LANES);
        for lane in 0..LANES {
            let tanh = approximate_tanh::<SIMD>(values[lane]);
            values[lane] = factors[lane] * tanh;
            slopes[lane] = factors[lane] * fma::<SIMD>(-tanh, tanh, 1.0);
        }
    }
}

/// tanh within 4·10⁻⁷ of the true value (checked below); NaN stays NaN.
///
/// A rational minimax approximation, odd of degree 13 over even of degree 6, with the
/// coefficients of Eigen's `generic_fast_tanh_float` (MPL 2.0, as are the numbers' origin).
/// Beyond ±7.9 tanh is ±1 in single precision.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "coefficients as published")]
fn approximate_tanh<const SIMD: u8>(x: f32) -> f32 {
    const LIMIT: f32 = 7.905_311_107_635_497_98;
    const NUMERATOR: [f32; 7] = [
        -2.760_768_477_423_55e-16,
        2.000_187_904_824_77e-13,
        -8.604_671_522_137_35e-11,
        5.122_297_090_371_14e-08,
        1.485_722_357_179_79e-05,
        6.372_619_288_754_36e-04,
        4.893_524_558_917_86e-03,
    ];
    const DENOMINATOR: [f32; 4] = [
        1.198_258_394_667_02e-06,
        1.185_347_056_866_54e-04,
        2.268_434_632_439_00e-03,
        4.893_525_185_543_85e-03,
    ];
    let x = x.clamp(-LIMIT, LIMIT);
    let square = x * x;
    x * polynomial::<SIMD, 7>(&NUMERATOR, square) / polynomial::<SIMD, 4>(&DENOMINATOR, square)
}

/// The polynomial with these coefficients, highest power first.
#[inline(always)]
pub(super) fn polynomial<const SIMD: u8, const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    let mut value = coefficients[0];
    for &coefficient in &coefficients[1..] {
        value = fma::<SIMD>(value, x, coefficient);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::super::simd::Simd;
    use super::*;

    /// Rows holding `values`, and how many rows they are.
    fn rows(values: &[f32]) -> (usize, Rows) {
        let count = values.len() / LANES;
        let mut rows = Rows::new(count, LANES);
        rows.padded_mut(count).copy_from_slice(values);
        (count, rows)
    }

    #[test]
    fn tanh_is_within_its_error() {
        let values: Vec<f32> = (-160_000..160_000).map(|i| i as f32 / 16_000.0).collect();
        for simd in Simd::available() {
            let (count, mut rows) = rows(&values);
            tanh(simd, count, &mut rows);
            for (&x, &found) in values.iter().zip(rows.padded(count)) {
                let error = (f64::from(found) - f64::from(x).tanh()).abs();
                assert!(error < 4e-7, "tanh({x}) is off by {error:e} with {simd:?}");
            }
        }
    }

    #[test]
    fn tanh_at_the_extremes() {
        let mut values = [0.0; LANES];
        values[..6].copy_from_slice(&[f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e30, -0.0, 1e-20]);
        for simd in Simd::available() {
            let (count, mut rows) = rows(&values);
            tanh(simd, count, &mut rows);
            let found = rows.padded(count);
            assert!((found[0] - 1.0).abs() < 4e-7 && (found[1] + 1.0).abs() < 4e-7);
            assert!(found[2].is_nan() && (found[3] - 1.0).abs() < 4e-7);
            assert!(found[4] == 0.0 && (found[5] / 1e-20 - 1.0).abs() < 4e-7);
        }
    }

    #[test]
    fn the_same_mask_forwards_and_backwards() {
        let values: Vec<f32> = (0..3_200).map(|i| (i as f32 * 0.37).sin() * 2.0).collect();
        let mask = Mask::new(0.3, [7, 0, 1, 0]);
        for simd in Simd::available() {
            let (count, mut out) = rows(&values);
            let mut slopes = Rows::new(count, LANES);
            tanh_dropout(simd, count, &mut out, mask, &mut slopes);
            for (index, (&out, &slope)) in out.padded(count).iter().zip(slopes.padded(count)).enumerate() {
                let factor = mask.factors(index)[0];
                let tanh = values[index].tanh();
                assert!((out - factor * tanh).abs() < 1e-6);
                assert!((slope - factor * (1.0 - tanh * tanh)).abs() < 1e-6);
                assert_eq!(factor == 0.0, slope == 0.0);
            }
        }
    }
}
