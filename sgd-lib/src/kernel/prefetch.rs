//! Asking for memory before it is needed.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Begins to bring these bytes into the cache, and waits for nothing. Does nothing where there is no stable
/// instruction for it.
#[inline]
pub(crate) fn prefetch(bytes: &[u8]) {
    bytes.chunks(LINE).for_each(prefetch_line);
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "an intrinsic that takes a pointer")]
fn prefetch_line(line: &[u8]) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: every x86-64 has it, and it may be given any address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
fn prefetch_line(_: &[u8]) {}
