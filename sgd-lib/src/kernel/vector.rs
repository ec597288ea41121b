//! Sixteen values, or eight, that stay in registers, for the loops where LLVM does not see to that by itself.
//!
//! A body takes one of these types for each instruction set that `multiversion!` compiles it for; nobody else
//! may name them.

use super::simd::{LANES, PORTABLE, fma};

/// `N` values.
pub(super) trait Vector<const N: usize>: Copy {
    /// All the same.
    fn splat(value: f32) -> Self;

    /// From memory.
    fn load(values: &[f32; N]) -> Self;

    /// To memory.
    fn store(self, values: &mut [f32; N]);

    /// From memory, as many values as there are, at most `N`; zeros for the rest.
    #[inline(always)]
    fn load_first(values: &[f32]) -> Self {
        if let Some(all) = values.first_chunk() {
            return Self::load(all);
        }
        let mut all = [0.0; N];
        all[..values.len()].copy_from_slice(values);
        Self::load(&all)
    }

    /// To memory, as many values as there is room for, at most `N`.
    #[inline(always)]
    fn store_first(self, values: &mut [f32]) {
        if let Some(all) = values.first_chunk_mut() {
            return self.store(all);
        }
        let mut all = [0.0; N];
        self.store(&mut all);
        values.copy_from_slice(&all[..values.len()]);
    }

    /// `self + factor · other`.
    fn add_scaled(self, factor: Self, other: Self) -> Self;

    /// `self + other`.
    fn add(self, other: Self) -> Self;
}

/// What an instruction set has for sixteen values, and for eight.
pub(super) trait Registers {
    /// Vectors of sixteen for which there are registers, beside those that a multiplication needs.
    const COUNT: usize;
    /// Sixteen values.
    type Whole: Vector<LANES>;
    /// Eight.
    type Half: Vector<{ LANES / 2 }>;
}

/// Whatever the target guarantees: SSE2 is four values a register, NEON too.
pub(super) struct Portable;

impl Registers for Portable {
    const COUNT: usize = 2;
    type Whole = Array<LANES>;
    type Half = Array<{ LANES / 2 }>;
}

/// As many registers as it takes.
#[derive(Clone, Copy)]
pub(super) struct Array<const N: usize>([f32; N]);

impl<const N: usize> Vector<N> for Array<N> {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; N])
    }

    #[inline(always)]
    fn load(values: &[f32; N]) -> Self {
        Self(*values)
    }

    #[inline(always)]
    fn store(self, values: &mut [f32; N]) {
        *values = self.0;
    }

    #[inline(always)]
    fn add_scaled(mut self, factor: Self, other: Self) -> Self {
        for lane in 0..N {
            self.0[lane] = fma::<PORTABLE>(factor.0[lane], other.0[lane], self.0[lane]);
        }
        self
    }

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for lane in 0..N {
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
        __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_mask_storeu_ps,
        _mm256_maskz_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps,
        _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::{LANES, Registers, Vector};

    /// Thirty-two registers of sixteen values.
    pub(in super::super) struct Avx512;

    impl Registers for Avx512 {
        const COUNT: usize = 28;
        type Whole = Zmm;
        type Half = MaskedYmm;
    }

    /// Sixteen registers of eight values.
    pub(in super::super) struct Avx2;

    impl Registers for Avx2 {
        const COUNT: usize = 6;
        type Whole = Two<Ymm>;
        type Half = Ymm;
    }

    /// Defines a register's type. The last two are the functions for a part of it, where it has them.
    //
    // SAFETY, of all that is in here: `multiversion!` runs what names these types only on processors with their
    // instructions, and loads and stores are of as many values as are borrowed, or as the mask has ones.
    macro_rules! register {
        ($(#[$doc:meta])* $name:ident($register:ty, $lanes:expr),
         $splat:ident, $load:ident, $store:ident, $add_scaled:ident, $add:ident
         $(, $mask:ty, $load_first:ident, $store_first:ident)?) => {
            $(#[$doc])*
            #[derive(Clone, Copy)]
            pub(in super::super) struct $name($register);

            impl Vector<{ $lanes }> for $name {
                #[inline(always)]
                fn splat(value: f32) -> Self {
                    // SAFETY: above.
                    Self(unsafe { $splat(value) })
                }

                #[inline(always)]
                fn load(values: &[f32; $lanes]) -> Self {
                    // SAFETY: above.
                    Self(unsafe { $load(values.as_ptr()) })
                }

                #[inline(always)]
                fn store(self, values: &mut [f32; $lanes]) {
                    // SAFETY: above.
                    unsafe { $store(values.as_mut_ptr(), self.0) }
                }

                $(
                    #[inline(always)]
                    fn load_first(values: &[f32]) -> Self {
                        let mask = first::<{ $lanes }>(values.len()) as $mask;
                        // SAFETY: above.
                        Self(unsafe { $load_first(mask, values.as_ptr()) })
                    }

                    #[inline(always)]
                    fn store_first(self, values: &mut [f32]) {
                        let mask = first::<{ $lanes }>(values.len()) as $mask;
                        // SAFETY: above.
                        unsafe { $store_first(values.as_mut_ptr(), mask, self.0) }
                    }
                )?

                #[inline(always)]
                fn add_scaled(self, factor: Self, other: Self) -> Self {
                    // SAFETY: above.
                    Self(unsafe { $add_scaled(factor.0, other.0, self.0) })
                }

                #[inline(always)]
                fn add(self, other: Self) -> Self {
                    // SAFETY: above.
                    Self(unsafe { $add(self.0, other.0) })
                }
            }
        };
    }

    register!(
        /// AVX-512's.
        Zmm(__m512, LANES),
        _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps, _mm512_add_ps,
        u16, _mm512_maskz_loadu_ps, _mm512_mask_storeu_ps
    );
    register!(
        /// Half of one, with AVX-512's masks.
        MaskedYmm(__m256, LANES / 2),
        _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_add_ps,
        u8, _mm256_maskz_loadu_ps, _mm256_mask_storeu_ps
    );
    register!(
        /// AVX2's.
        Ymm(__m256, LANES / 2),
        _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps, _mm256_add_ps
    );

    /// The mask of that many first lanes.
    #[inline(always)]
    fn first<const N: usize>(lanes: usize) -> u32 {
        assert!(lanes <= N, "{lanes} lanes");
        (1 << lanes) - 1
    }

    /// Two registers.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Two<T>(T, T);

    impl Vector<LANES> for Two<Ymm> {
        #[inline(always)]
        fn splat(value: f32) -> Self {
            Self(Ymm::splat(value), Ymm::splat(value))
        }

        #[inline(always)]
        fn load(values: &[f32; LANES]) -> Self {
            let (halves, _) = values.as_chunks();
            Self(Ymm::load(&halves[0]), Ymm::load(&halves[1]))
        }

        #[inline(always)]
        fn store(self, values: &mut [f32; LANES]) {
            let (halves, _) = values.as_chunks_mut();
            self.0.store(&mut halves[0]);
            self.1.store(&mut halves[1]);
        }

        #[inline(always)]
        fn add_scaled(self, factor: Self, other: Self) -> Self {
            Self(self.0.add_scaled(factor.0, other.0), self.1.add_scaled(factor.1, other.1))
        }

        #[inline(always)]
        fn add(self, other: Self) -> Self {
            Self(self.0.add(other.0), self.1.add(other.1))
        }
    }
}
