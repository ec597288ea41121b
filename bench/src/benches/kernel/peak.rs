//! How fast one core can multiply and add.

use std::hint::black_box;

use crate::clock::cpu_time;

/// Independent sums, enough to hide the latency of a fused multiply-add.
const SUMS: usize = 12;
/// Each of them is a vector of the widest registers.
const LANES: usize = 16;

type Sums = [[f32; LANES]; SUMS];

/// Floating-point operations a second, of one thread with the widest vectors that it has.
pub(super) fn measure(rounds: usize) -> f64 {
    let mut sums = [[1.0; LANES]; SUMS];
    let begun = cpu_time();
    spin(black_box(rounds), black_box(0.999), &mut sums);
    black_box(sums);
    let operations = 2 * LANES * SUMS * rounds;
    operations as f64 / (cpu_time() - begun)
}

/// `sum = factor · sum + factor`, over and over.
#[expect(unsafe_code, reason = "calls compiled for more than the baseline, which detection allows")]
fn spin(rounds: usize, factor: f32, sums: &mut Sums) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,fma")]
        fn avx512(rounds: usize, factor: f32, sums: &mut Sums) {
            body(rounds, factor, sums, f32::mul_add);
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(rounds: usize, factor: f32, sums: &mut Sums) {
            body(rounds, factor, sums, f32::mul_add);
        }
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
            // SAFETY: detected.
            return unsafe { avx512(rounds, factor, sums) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: detected.
            return unsafe { avx2(rounds, factor, sums) };
        }
    }
    if cfg!(target_arch = "aarch64") {
        body(rounds, factor, sums, f32::mul_add);
    } else {
        body(rounds, factor, sums, |a, b, c| a * b + c);
    }
}

#[inline(always)]
fn body(rounds: usize, factor: f32, sums: &mut Sums, fma: impl Fn(f32, f32, f32) -> f32) {
    let mut kept = *sums;
    for _ in 0..rounds {
        for sum in kept.as_flattened_mut() {
            *sum = fma(*sum, factor, factor);
        }
    }
    *sums = kept;
}
