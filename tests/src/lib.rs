//! Builders for scenarios: the real `downpour`, the real gateway, functions as processes, a real Redis,
//! real data.
//!
//! A scenario in `tests/` begins with a [`Place`], a temporary folder with a state folder in it, and either
//! runs commands there ([`Place::downpour`], [`Place::train`]) or brings a [`Platform`] up and calls its
//! functions. Nothing is shared between two places but the data set's files, so scenarios run side by side.
//!
//! | file | what it is about |
//! |---|---|
//! | `binaries` | the programs under test |
//! | `data` | the data set that is trained |
//! | `place` | commands in a folder of their own |
//! | `balancer`, `engine` | functions without a gateway, behind Services |
//! | `background` | a command that goes on |
//! | `platform` | `downpour up`, calls through its gateway, runs in its Redis |
//! | `processes` | what runs in a place: to kill it, to measure it, to see that nothing is left |
//! | `redis_keys` | the keys in a Redis |
//! | `stack` | `stack.yml`, changed a little |
//!
//! The programs are those beside the test, in the same target folder. `cargo test --workspace` builds all
//! of them before it runs the first test, since each program's package has integration tests; after
//! `cargo test -p scenarios` alone they may be missing, which is said, or old, which is not: build the
//! workspace first.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "the library of tests: it stops at the first surprise"
)]

mod background;
mod balancer;
mod binaries;
mod data;
mod engine;
mod place;
mod platform;
mod processes;
pub mod redis_keys;
mod stack;

use std::time::{Duration, Instant};

pub use background::Background;
pub use binaries::binary;
pub use data::Data;
pub use engine::Engine;
pub use place::{Finished, Place, TEMPORARY};
pub use platform::{Answer, Platform};
pub use processes::Process;
pub use stack::stack_with;

/// So long everything may take that is awaited: far more than it ever does.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `probe` finds what it looks for.
///
/// # Panics
/// It finds nothing within a minute.
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    within_limit(probe).unwrap_or_else(|| panic!("not within {} s: {what}", LIMIT.as_secs()))
}

fn within_limit<T>(mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = probe();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
