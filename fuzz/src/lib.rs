//! Everything that reads bytes from outside, given any bytes: it may refuse them, but neither panic nor take more
//! memory than [`Target::allowance`] says.
//!
//! A target is a function of bytes in one of the modules below. `cargo +nightly fuzz run NAME` (`make fuzz`) searches
//! for bytes that break it, guided by coverage; `tests/seeds.rs` gives each, with stable Rust, what is in `seeds/NAME`
//! and thousands of mutations of that.
//!
//! | module | whose bytes |
//! |---|---|
//! | `data` | files of data sets and pictures |
//! | `store` | what stands in Redis, and its replies |
//! | `requests` | bodies, paths and headers that functions and gateway are sent; stack files |
//! | `memory` | counts what a target allocates |

mod command_line;
mod data;
pub mod memory;
mod requests;
mod store;

/// A decoder under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and its folder's below `seeds`.
    pub name: &'static str,
    /// Whether it takes bytes for what they may be; it panics where something does not hold.
    run: fn(&[u8]) -> bool,
    /// Bytes that it may allocate at once whatever it is given.
    fixed: usize,
    /// Bytes that it may allocate at once for each that it is given.
    for_each: usize,
}

/// 1 MiB.
const MIB: usize = 1 << 20;

impl Target {
    const fn new(name: &'static str, run: fn(&[u8]) -> bool, fixed: usize, for_each: usize) -> Self {
        Self { name, run, fixed, for_each }
    }

    /// Bytes that it may have allocated at once when it is given so many.
    pub fn allowance(&self, bytes: usize) -> usize {
        self.fixed + self.for_each * bytes
    }

    /// Runs it. Returns whether it took the bytes for what they may be.
    ///
    /// # Panics
    /// It panics, or takes more memory than it may.
    pub fn run(&self, bytes: &[u8]) -> bool {
        let (taken, peak) = memory::peak_of(|| (self.run)(bytes));
        let most = self.allowance(bytes.len());
        assert!(
            peak <= most,
            "{}: {peak} bytes allocated at once for an input of {} bytes; at most {most} are allowed",
            self.name,
            bytes.len()
        );
        taken
    }
}

/// All of them. What is fixed is, where it is more than some KiB: an inflater's window and tables, a reader's
/// buffer, the limit of a typed value (16 MiB) or of a picture (16 MiB).
pub const TARGETS: &[Target] = &[
    // Zipped: 1,032 bytes of labels for each of the file's.
    Target::new("idx", data::idx, MIB + MIB / 2, 1100),
    Target::new("mat", data::mat, MIB, 4200),
    Target::new("header", data::header, MIB / 16, 64),
    Target::new("chunk", data::chunk, 4 * MIB, 64),
    Target::new("png", command_line::png, 34 * MIB, 64),
    Target::new("zip", command_line::zip, MIB, 64),
    Target::new("frame", store::frame, MIB / 16, 64),
    Target::new("f32", store::f32, MIB / 16, 64),
    Target::new("f16", store::f16, MIB / 16, 64),
    Target::new("int8", store::int8, MIB / 16, 64),
    Target::new("topk", store::top_k, MIB / 16, 64),
    Target::new("parameters", store::parameters, MIB / 16, 64),
    Target::new("state", store::state, 18 * MIB, 64),
    Target::new("reply", store::reply, MIB + MIB / 16, 64),
    Target::new("log_reply", store::log_reply, 18 * MIB, 256),
    Target::new("settings", requests::settings, MIB / 8, 256),
    Target::new("order", requests::order, MIB / 16, 64),
    Target::new("deployment", requests::deployment, MIB / 4, 256),
    Target::new("messages", requests::messages, MIB / 16, 256),
    Target::new("context", requests::context, MIB / 4, 64),
    Target::new("kubernetes", requests::kubernetes, MIB / 16, 256),
    Target::new("texts", requests::texts, MIB / 16, 64),
    Target::new("stack", requests::stack, 4 * MIB, 1024),
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs the target of this name: what the programs in `fuzz_targets` do.
///
/// # Panics
/// There is none, or something does not hold.
#[expect(clippy::panic, reason = "that is how a fuzzer is told")]
pub fn run(name: &str, bytes: &[u8]) {
    match target(name) {
        Some(target) => drop(target.run(bytes)),
        None => panic!("there is no target {name}"),
    }
}
