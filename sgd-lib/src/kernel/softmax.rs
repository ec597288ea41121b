//! Softmax, cross-entropy and their gradient.

use super::activation::polynomial;
use super::rows::Rows;
use super::simd::{LANES, fma, multiversion};

/// How well logits fit their labels, summed over samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Assessment {
    /// Samples whose largest logit is the label's; the first one counts where several are equal.
    pub(crate) correct: usize,
    /// Sum of the cross-entropies.
    pub(crate) loss_sum: f64,
}

multiversion! {
    /// Replaces each label's row of logits by the gradient of the mean cross-entropy in them:
    /// (softmax − one-hot label) / samples. Returns the sum of the cross-entropies.
    fn cross_entropy(logits: &mut Rows, labels: &[u8]) -> f64 = cross_entropy_all
}

#[inline(always)]
fn cross_entropy_all<const SIMD: u8>(logits: &mut Rows, labels: &[u8]) -> f64 {
    let (width, stride) = (logits.width(), logits.stride());
    let share = 1.0 / labels.len() as f32;
    let mut loss_sum = 0.0;
    for (row, &label) in logits.padded_mut(labels.len()).chunks_exact_mut(stride).zip(labels) {
        let label = usize::from(label);
        let logit = row[..width][label];
        let (largest, sum) = exponentials::<SIMD>(row, width);
        loss_sum += loss(logit, largest, sum);
        let scale = share / sum;
        for value in &mut *row {
            *value *= scale;
        }
        row[label] -= share;
    }
    loss_sum
}

multiversion! {
    /// Compares each label's row of logits with it. The logits are destroyed.
    fn assess(logits: &mut Rows, labels: &[u8]) -> Assessment = assess_all
}

#[inline(always)]
fn assess_all<const SIMD: u8>(logits: &mut Rows, labels: &[u8]) -> Assessment {
    let (width, stride) = (logits.width(), logits.stride());
    let mut assessment = Assessment::default();
    for (row, &label) in logits.padded_mut(labels.len()).chunks_exact_mut(stride).zip(labels) {
        let label = usize::from(label);
        let logit = row[..width][label];
        let beaten = row[..width].iter().enumerate().all(|(class, &other)| {
            class == label || if class < label { other < logit } else { other <= logit }
        });
        let (largest, sum) = exponentials::<SIMD>(row, width);
        assessment.correct += usize::from(beaten && !logit.is_nan());
        assessment.loss_sum += loss(logit, largest, sum);
    }
    assessment
}

multiversion! {
    /// Replaces the first `count` rows of logits by the classes' probabilities.
    fn softmax(count: usize, logits: &mut Rows) = softmax_all
}

#[inline(always)]
fn softmax_all<const SIMD: u8>(count: usize, logits: &mut Rows) {
    let (width, stride) = (logits.width(), logits.stride());
    for row in logits.padded_mut(count).chunks_exact_mut(stride) {
        let (_, sum) = exponentials::<SIMD>(row, width);
        let scale = 1.0 / sum;
        for value in row {
            *value *= scale;
        }
    }
}

/// −ln of the label's probability.
fn loss(logit: f32, largest: f32, sum: f32) -> f64 {
    f64::from(sum).ln() + f64::from(largest - logit)
}

/// Replaces a padded row by exp(value − largest); returns the largest value and the sum of
/// the exponentials. Both are reduced lane by lane, so that the order of additions, and
/// with it the result, is the same whatever the width of the vectors.
#[inline(always)]
fn exponentials<const SIMD: u8>(row: &mut [f32], width: usize) -> (f32, f32) {
    row[width..].fill(f32::NEG_INFINITY);
    let (vectors, _) = row.as_chunks_mut::<LANES>();
    let mut largest = [f32::NEG_INFINITY; LANES];
    for vector in &*vectors {
        for lane in 0..LANES {
            largest[lane] = if vector[lane] > largest[lane] { vector[lane] } else { largest[lane] };
        }
    }
    let largest = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0; LANES];
    for vector in vectors {
        for lane in 0..LANES {
            vector[lane] = approximate_exp::<SIMD>(vector[lane] - largest);
            sums[lane] += vector[lane];
        }
    }
    (largest, sums.into_iter().sum())
}

/// exp for values of at most 0, within a relative error of 2·10⁻⁷ (checked below); below −87,
/// where single precision ends, it stays at exp(−87) = 10⁻³⁸. NaN stays NaN.
///
/// exp(x) = 2ⁿ · exp(r) with n = x / ln 2 rounded and |r| ≤ ln 2 / 2, for which a polynomial
/// of degree 6 does (coefficients of the Cephes library's `expf`).
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "coefficients as published")]
fn approximate_exp<const SIMD: u8>(x: f32) -> f32 {
    /// Adding it leaves the rounded value in the last bits: 1.5 · 2²³.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts; products of the first with a small integer are exact.
    const LN_2: (f32, f32) = (0.693_359_375, -2.121_944_40e-4);
    const POLYNOMIAL: [f32; 8] = [
        1.987_569_150_0e-4,
        1.398_199_950_7e-3,
        8.333_451_907_3e-3,
        4.166_579_589_4e-2,
        1.666_666_545_9e-1,
        5.000_000_120_1e-1,
        1.0,
        1.0,
    ];
    let x = x.clamp(-87.0, 0.0);
    let shifted = fma::<SIMD>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = fma::<SIMD>(-n, LN_2.1, fma::<SIMD>(-n, LN_2.0, x));
    let value = polynomial::<SIMD, 8>(&POLYNOMIAL, r);
    // Adds n to the exponent.
    f32::from_bits(value.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::super::simd::{AVX2, PORTABLE, Simd};
    use super::*;

    #[test]
    fn exp_is_within_its_error() {
        for step in 0..1_740_000 {
            let x = -87.0 + step as f32 / 20_000.0;
            let exact = f64::from(x).exp();
            for found in [approximate_exp::<PORTABLE>(x), approximate_exp::<AVX2>(x)] {
                let error = (f64::from(found) - exact).abs() / exact;
                assert!(error < 2e-7, "exp({x}) is off by {error:e}");
            }
        }
        assert!(approximate_exp::<PORTABLE>(f32::NAN).is_nan());
        assert!(approximate_exp::<PORTABLE>(f32::NEG_INFINITY) < 2e-38);
        assert_eq!(approximate_exp::<PORTABLE>(0.0), 1.0);
    }

    fn logits(width: usize) -> Rows {
        let mut logits = Rows::new(2, width);
        let row: Vec<f32> = (0..width).map(|i| (i as f32 * 1.7).sin() * 20.0).collect();
        logits.fill(2, &row);
        logits
    }

    fn probabilities(row: &[f32]) -> Vec<f64> {
        let exponentials: Vec<f64> = row.iter().map(|&value| f64::from(value).exp()).collect();
        let sum: f64 = exponentials.iter().sum();
        exponentials.iter().map(|value| value / sum).collect()
    }

    #[test]
    fn softmax_and_its_gradient_are_as_in_double_precision() {
        for (simd, width) in
            Simd::available().into_iter().flat_map(|s| [1, 2, 15, 16, 17, 47].map(|w| (s, w)))
        {
            let exact = probabilities(logits(width).iter(1).next().unwrap());
            let labels = [0, width as u8 - 1];
            let mut found = logits(width);
            softmax(simd, 2, &mut found);
            let mut gradient = logits(width);
            let loss = cross_entropy(simd, &mut gradient, &labels);
            let exact_loss = -(exact[0].ln() + exact[width - 1].ln());
            assert!((loss - exact_loss).abs() < 1e-5, "{loss} instead of {exact_loss}");
            for (row, &label) in labels.iter().enumerate() {
                for class in 0..width {
                    let expected = (exact[class] - f64::from(u8::from(class == usize::from(label)))) / 2.0;
                    let (p, g) = (found.iter(2).nth(row).unwrap(), gradient.iter(2).nth(row).unwrap());
                    assert!((f64::from(p[class]) - exact[class]).abs() < 1e-6);
                    assert!((f64::from(g[class]) - expected).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn the_first_of_equal_logits_is_the_prediction() {
        for simd in Simd::available() {
            let mut rows = Rows::new(3, 3);
            rows.fill(3, &[1.0, 2.0, 2.0]);
            let found = assess(simd, &mut rows, &[0, 1, 2]);
            assert_eq!(found.correct, 1);
            let expected = 3.0 * (1.0f64.exp() + 2.0 * 2.0f64.exp()).ln() - 5.0;
            assert!((found.loss_sum - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn nan_is_a_nan_loss_and_never_correct() {
        for simd in Simd::available() {
            let mut rows = Rows::new(1, 2);
            rows.fill(1, &[f32::NAN, 1.0]);
            let found = assess(simd, &mut rows, &[0]);
            assert_eq!(found.correct, 0);
            assert!(found.loss_sum.is_nan());
        }
    }
}
