//! The command line: a local platform, training runs, their reports.

mod args;
mod classes;
mod commands;
mod doctor;
mod download;
mod exit_code;
mod grid;
mod images;
mod local;
mod logging;
mod model_file;
mod remote;
mod render;
mod report;
mod settings_args;
mod state_dir;
mod training;
mod watch;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // Bad arguments end the process here, with clap's message and code 2.
    let args = args::Args::parse();
    logging::start();
    match commands::run(args) {
        Ok(()) => exit_code::ExitCode::Done.into(),
        Err(error) => exit_code::report(&error).into(),
    }
}
