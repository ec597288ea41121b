//! What this process asks of the allocator, and a thread of the kernel.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: all is the system allocator's, which keeps the contract; counting touches no memory of it.
#[expect(unsafe_code, reason = "the trait is unsafe")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// How often this process has allocated or reallocated.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// How often a page was missing where this thread read or wrote.
///
/// # Errors
/// `/proc` does not say.
pub(crate) fn page_faults() -> Result<u64> {
    const PATH: &str = "/proc/thread-self/stat";
    let text = fs::read_to_string(PATH).with_context(|| format!("reading {PATH}"))?;
    // After the name, which is in parentheses and may hold anything: minor faults are the 8th field, major the 10th.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let faults = field(7).zip(field(9)).map(|(minor, major)| minor + major);
    faults.with_context(|| format!("{PATH} is {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_counted() {
        let (allocations_before, faults_before) = (allocations(), page_faults().unwrap());
        let pages = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(allocations() > allocations_before);
        assert!(page_faults().unwrap() > faults_before, "{}", pages.len());
    }
}
