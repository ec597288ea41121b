//! `downpour bench`: runs the program that measures.
//!
//! It is a program of its own, because what Downpour is compared with has no place in this one.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::args::Global;

/// Measure what is fast and what is not: downpour bench --help
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// What to measure, and how
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs it, with the same arguments.
///
/// # Errors
/// It is not beside this program, or can't be started.
pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let program = env::current_exe().context("finding this program")?.with_file_name("downpour-bench");
    if !program.is_file() {
        bail!("{} is not there; build it: cargo build --release -p bench", program.display());
    }
    // This program becomes that one: its exit code is ours.
    let error = Command::new(&program).args(global.json.then_some("--json")).args(&args.arguments).exec();
    Err(error).with_context(|| format!("starting {}", program.display()))
}
