//! Standard output. Unlike `println!`, a reader that hangs up is an error here and not a panic.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

/// Prints a text and a line feed.
pub(crate) fn line(text: &str) -> Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Prints a value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    line(&serde_json::to_string(value)?)
}
