//! What the parts say while they work, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Warnings and errors, or what `RUST_LOG` asks for.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // They would be printed where lines can't be, and that panics: on a full disk, for one.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal())
        .init();
}
