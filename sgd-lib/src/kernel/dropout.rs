//! Dropout masks as a function of counters: no generator, no hidden state.

use super::simd::LANES;

/// Which values of a layer's output are dropped, and what the others are scaled by.
///
/// Inverted dropout: with the fraction `p`, a value is zeroed with probability `p` and
/// multiplied by `1 / (1 - p)` otherwise, so that its expectation stays and prediction
/// needs no correction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask {
    key: [u32; 2],
    /// A value is dropped if its hash is below this.
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// The mask that `counters` stand for, dropping the fraction `dropout`, in `0.0..1.0`.
    pub(crate) fn new(dropout: f32, counters: [u64; 4]) -> Self {
        let key = counters.into_iter().fold(0, |state, counter| splitmix(state ^ counter));
        Self {
            key: [key as u32, (key >> 32) as u32],
            threshold: (f64::from(dropout) * 4_294_967_296.0) as u32,
            scale: 1.0 / (1.0 - dropout),
        }
    }

    /// What the vector of values at `start` is multiplied by: zeros and scales.
    #[inline(always)]
    pub(super) fn factors(self, start: usize) -> [f32; LANES] {
        let mut factors = [0.0; LANES];
        for (lane, factor) in factors.iter_mut().enumerate() {
            let hash = mix(mix((start + lane) as u32 ^ self.key[0]) ^ self.key[1]);
            *factor = if hash < self.threshold { 0.0 } else { self.scale };
        }
        factors
    }
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014: "Fast splittable pseudorandom
/// number generators").
fn splitmix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The finaliser of MurmurHash3: a bijection of 32 bits that every vector unit can do.
#[inline(always)]
fn mix(mut h: u32) -> u32 {
    h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
    h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(mask: Mask, count: usize) -> Vec<f32> {
        (0..count).step_by(LANES).flat_map(|start| mask.factors(start)).collect()
    }

    #[test]
    fn the_share_dropped_is_the_fraction_asked_for() {
        for dropout in [0.0, 0.1, 0.2, 0.5, 0.9] {
            let mut dropped = 0;
            for minibatch in 0..100 {
                let factors = factors(Mask::new(dropout, [1, 2, minibatch, 0]), 3_200);
                dropped += factors.iter().filter(|&&factor| factor == 0.0).count();
                assert!(factors.iter().all(|&f| f == 0.0 || f == 1.0 / (1.0 - dropout)));
            }
            // Five standard deviations of a binomial of 320,000.
            let share = dropped as f64 / 320_000.0;
            assert!((share - f64::from(dropout)).abs() < 0.0045, "{share} instead of {dropout}");
        }
    }

    #[test]
    fn every_counter_changes_the_mask() {
        let base = factors(Mask::new(0.5, [1, 2, 3, 0]), 320);
        assert_eq!(base, factors(Mask::new(0.5, [1, 2, 3, 0]), 320));
        for counters in [[2, 2, 3, 0], [1, 3, 3, 0], [1, 2, 4, 0], [1, 2, 3, 1], [2, 1, 3, 0]] {
            let other = factors(Mask::new(0.5, counters), 320);
            let equal = base.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!((110..210).contains(&equal), "{equal} of 320 are as without the change");
        }
    }
}
