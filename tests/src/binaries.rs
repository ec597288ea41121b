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

/// Programs are in `target/PROFILE`, and so may be this one; a test is `target/PROFILE/deps/NAME-HASH`.
fn folder() -> PathBuf {
    let program = env::current_exe().expect("a process knows its program");
    let folder = program.parent().expect("a program is in a folder");
    if folder.ends_with("deps") { folder.parent().map(Path::to_owned) } else { None }
        .unwrap_or(folder.to_owned())
}
