//! One body compiled for several instruction sets, chosen when the program runs.
//!
//! A kernel's body is portable Rust in a shape that LLVM vectorises. [`multiversion!`]
//! compiles it for AVX-512, for AVX2 with FMA and for the target's baseline, so one binary
//! runs on every processor. The results differ between them in the last bits only
//! (fused or separate multiply and add), which the kernels' tests check.

/// Values per vector register of the widest instruction set; rows are padded to it.
pub(crate) const LANES: usize = 16;

/// Proof that this processor has an instruction set: only detection makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Simd(Level);

/// The instruction sets that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Whatever the target guarantees.
    Portable,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Simd {
    /// The best instruction set of this processor.
    pub(crate) fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if has_avx512() {
                return Self(Level::Avx512);
            }
            if has_avx2() {
                return Self(Level::Avx2);
            }
        }
        Self(Level::Portable)
    }

    pub(super) fn level(self) -> Level {
        self.0
    }

    /// Every instruction set of this processor, the portable one first.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        let mut all = vec![Self(Level::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            all.extend(has_avx2().then_some(Self(Level::Avx2)));
            all.extend(has_avx512().then_some(Self(Level::Avx512)));
        }
        all
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

/// What a body knows at compile time of the instruction set that it is compiled for.
pub(super) const PORTABLE: u8 = 0;
/// AVX2 and FMA: sixteen registers of eight values.
pub(super) const AVX2: u8 = 1;
/// AVX-512: thirty-two registers of sixteen values.
pub(super) const AVX512: u8 = 2;

/// `a * b + c`, fused where the instruction set can (AArch64 always): elsewhere `mul_add` is
/// a slow library call.
#[inline(always)]
pub(super) fn fma<const SIMD: u8>(a: f32, b: f32, c: f32) -> f32 {
    if SIMD != PORTABLE || cfg!(target_arch = "aarch64") { a.mul_add(b, c) } else { a * b + c }
}

/// Defines `name(simd, arguments…)`, which runs `body::<SIMD>(arguments…)` compiled for the
/// instruction set that `simd` stands for. The body must be `#[inline(always)]`.
macro_rules! multiversion {
    (
        $(#[$attribute:meta])*
        fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:ident
    ) => {
        $(#[$attribute])*
        pub(crate) fn $name(simd: $crate::kernel::simd::Simd, $($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $type),*) $(-> $result)? {
                $body::<{ $crate::kernel::simd::AVX2 }>($($argument),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
            fn avx512($($argument: $type),*) $(-> $result)? {
                $body::<{ $crate::kernel::simd::AVX512 }>($($argument),*)
            }
            #[cfg_attr(
                target_arch = "x86_64",
                expect(unsafe_code, reason = "a call compiled for more than the baseline; Simd proves that it may run")
            )]
            match simd.level() {
                $crate::kernel::simd::Level::Portable => {
                    $body::<{ $crate::kernel::simd::PORTABLE }>($($argument),*)
                }
                #[cfg(target_arch = "x86_64")]
                // SAFETY: this level exists only where detection found AVX2 and FMA.
                $crate::kernel::simd::Level::Avx2 => unsafe { avx2($($argument),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: this level exists only where detection found all five extensions.
                $crate::kernel::simd::Level::Avx512 => unsafe { avx512($($argument),*) },
            }
        }
    };
}

pub(super) use multiversion;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detected_set_is_the_best_available() {
        let available = Simd::available();
        assert_eq!(available[0], Simd(Level::Portable));
        assert_eq!(available.last(), Some(&Simd::detect()));
    }
}
