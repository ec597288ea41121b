//! Sixteen values that stay in registers, for the loops where LLVM does not see to that by itself.
//!
//! A body takes one of these types for each instruction set that `multiversion!` compiles it for; nobody else
//! may name them.

use super::simd::LANES;

/// Sixteen values.
pub(super) trait Vector: Copy {
    /// Vectors for which there are registers, beside those that a multiplication needs.
    const REGISTERS: usize;

    /// All the same.
    fn splat(value: f32) -> Self;

    /// From memory.
    fn load(values: &[f32; LANES]) -> Self;

    /// To memory.
    fn store(self, values: &mut [f32; LANES]);

    /// From memory, as many values as there are, at most sixteen; zeros for the rest.
    #[inline(always)]
    fn load_first(values: &[f32]) -> Self {
        let mut all = [0.0; LANES];
        all[..values.len()].copy_from_slice(values);
        Self::load(&all)
    }

    /// To memory, as many values as there is room for, at most sixteen.
    #[inline(always)]
    fn store_first(self, values: &mut [f32]) {
        let mut all = [0.0; LANES];
        self.store(&mut all);
        values.copy_from_slice(&all[..values.len()]);
    }

    /// `self + factor · other`.
    fn add_scaled(self, factor: Self, other: Self) -> Self;

    /// `self + other`.
    fn add(self, other: Self) -> Self;
}

/// Whatever the target guarantees: SSE2 is four values a register, NEON too.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; LANES]);

impl Vector for Portable {
    const REGISTERS: usize = 2;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    #[inline(always)]
    fn load(values: &[f32; LANES]) -> Self {
        Self(*values)
    }

    #[inline(always)]
    fn store(self, values: &mut [f32; LANES]) {
        *values = self.0;
    }

    #[inline(always)]
    fn add_scaled(mut self, factor: Self, other: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] =
                super::simd::fma::<{ super::simd::PORTABLE }>(factor.0[lane], other.0[lane], self.0[lane]);
        }
        self
    }

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] += other.0[lane];
        }
        self
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use self::x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "intrinsics; these types are named only where `multiversion!` compiles for their instruction set"
)]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps,
        _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps,
        _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::{LANES, Vector};

    /// One register of AVX-512's 32.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx512(__m512);

    /// The mask of that many first lanes.
    #[inline(always)]
    fn first(lanes: usize) -> u16 {
        assert!(lanes <= LANES, "{lanes} lanes");
        ((1u32 << lanes) - 1) as u16
    }

    // SAFETY, of all that is in here: `multiversion!` runs what names this type only on processors with AVX-512F,
    // and loads and stores are of sixteen values that are borrowed, or of as many as the mask has ones.
    impl Vector for Avx512 {
        const REGISTERS: usize = 28;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: above.
            Self(unsafe { _mm512_set1_ps(value) })
        }

        #[inline(always)]
        fn load(values: &[f32; LANES]) -> Self {
            // SAFETY: above.
            Self(unsafe { _mm512_loadu_ps(values.as_ptr()) })
        }

        #[inline(always)]
        fn store(self, values: &mut [f32; LANES]) {
            // SAFETY: above.
            unsafe { _mm512_storeu_ps(values.as_mut_ptr(), self.0) }
        }

        #[inline(always)]
        fn load_first(values: &[f32]) -> Self {
            // SAFETY: above.
            Self(unsafe { _mm512_maskz_loadu_ps(first(values.len()), values.as_ptr()) })
        }

        #[inline(always)]
        fn store_first(self, values: &mut [f32]) {
            // SAFETY: above.
            unsafe { _mm512_mask_storeu_ps(values.as_mut_ptr(), first(values.len()), self.0) }
        }

        #[inline(always)]
        fn add_scaled(self, factor: Self, other: Self) -> Self {
            // SAFETY: above.
            Self(unsafe { _mm512_fmadd_ps(factor.0, other.0, self.0) })
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: above.
            Self(unsafe { _mm512_add_ps(self.0, other.0) })
        }
    }

    /// Two registers of AVX2's sixteen.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2(__m256, __m256);

    // SAFETY, of all that is in here: `multiversion!` runs what names this type only on processors with AVX2 and
    // FMA, and loads and stores are of twice eight of sixteen values that are borrowed.
    impl Vector for Avx2 {
        const REGISTERS: usize = 6;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            // SAFETY: above.
            let half = unsafe { _mm256_set1_ps(value) };
            Self(half, half)
        }

        #[inline(always)]
        fn load(values: &[f32; LANES]) -> Self {
            let at = values.as_ptr();
            // SAFETY: above.
            unsafe { Self(_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(LANES / 2))) }
        }

        #[inline(always)]
        fn store(self, values: &mut [f32; LANES]) {
            let at = values.as_mut_ptr();
            // SAFETY: above.
            unsafe {
                _mm256_storeu_ps(at, self.0);
                _mm256_storeu_ps(at.add(LANES / 2), self.1);
            }
        }

        #[inline(always)]
        fn add_scaled(self, factor: Self, other: Self) -> Self {
            // SAFETY: above.
            unsafe {
                Self(_mm256_fmadd_ps(factor.0, other.0, self.0), _mm256_fmadd_ps(factor.1, other.1, self.1))
            }
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            // SAFETY: above.
            unsafe { Self(_mm256_add_ps(self.0, other.0), _mm256_add_ps(self.1, other.1)) }
        }
    }
}
