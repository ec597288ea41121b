//! The programs under test.

use std::env;
use std::path::{Path, PathBuf};

/// The program `name` of this workspace, as it was built with this test.
///
/// # Panics
/// It was not built.
pub fn binary(name: &str) -> PathBuf {
    let path = folder().join(name);
    assert!(
        path.is_file(),
        "{} is missing; `cargo build --workspace` builds it (with --release where the test has it)",
        path.display()
    );
    path
}

/// A test is `target/PROFILE/deps/NAME-HASH`, programs are in `target/PROFILE`.
fn folder() -> PathBuf {
    let test = env::current_exe().expect("a process knows its program");
    test.parent().and_then(Path::parent).expect("a test is two folders deep").to_owned()
}
