//! The command line: a local platform, training runs, their reports.

mod args;
mod commands;
mod download;
mod exit_code;
#[cfg_attr(not(test), expect(dead_code, reason = "read by predict"))]
mod images;
mod local;
#[cfg_attr(not(test), expect(dead_code, reason = "written by export"))]
mod model_file;
mod render;
mod state_dir;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Bad arguments end the process here, with clap's message and code 2.
    let args = args::Args::parse();
    match commands::run(args) {
        Ok(()) => exit_code::ExitCode::Done.into(),
        Err(error) => exit_code::report(&error).into(),
    }
}
