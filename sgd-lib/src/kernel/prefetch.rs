//! Asking for memory before it is needed.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Begins to bring these bytes into the cache, and waits for nothing. Does nothing where there is no stable
/// instruction for it.
#[inline]
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "an intrinsic that takes a pointer")]
        // SAFETY: every x86-64 has it, and it may be given any address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
        }
    }
}
