//! What this process asks of the allocator and of the kernel.

use std::alloc::{GlobalAlloc, Layout};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};

/// An allocator, counting what it is asked for.
#[derive(Debug)]
pub struct Counting<A>(pub A);

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: all is the inner allocator's, which keeps the contract; counting touches no memory of it.
#[expect(unsafe_code, reason = "the trait is unsafe")]
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.0.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { self.0.realloc(at, layout, size) }
    }
}

/// How often this process has allocated or reallocated.
pub(crate) fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// Whose page faults.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    /// This thread's.
    Thread,
    /// Those of all threads of this process.
    Process,
}

/// How often a page was missing where it read or wrote.
///
/// # Errors
/// `/proc` does not say.
pub(crate) fn page_faults(of: Of) -> Result<u64> {
    let path = match of {
        Of::Thread => "/proc/thread-self/stat",
        Of::Process => "/proc/self/stat",
    };
    let text = fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    // After the name, which is in parentheses and may hold anything: minor faults are the 8th field, major the 10th.
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let field = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let faults = field(7).zip(field(9)).map(|(minor, major)| minor + major);
    faults.with_context(|| format!("{path} is {text:?}"))
}

/// A size that the kernel tells of a process (its number, or `self`), in MiB: `RssAnon`, memory that is its own, no
/// file's and no program's; `VmHWM`, the most that it has had so far.
///
/// # Errors
/// `/proc` does not say.
pub(crate) fn mebibytes(process: &str, size: &str) -> Result<f64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(size)?.strip_prefix(':'));
    let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kibibytes.with_context(|| format!("{path} names no {size}"))? / 1024.0)
}

#[cfg(test)]
mod tests {
    use std::alloc::System;

    use super::*;

    #[global_allocator]
    static ALLOCATOR: Counting<System> = Counting(System);

    #[test]
    fn what_is_asked_for_is_counted() {
        for of in [Of::Thread, Of::Process] {
            let (allocations_before, faults_before) = (allocations(), page_faults(of).unwrap());
            let pages = std::hint::black_box(vec![1u8; 64 << 20]);
            assert!(allocations() > allocations_before);
            assert!(page_faults(of).unwrap() > faults_before, "{}", pages.len());
            assert!(mebibytes("self", "RssAnon").unwrap() >= 64.0);
        }
    }
}
