//! The commands, one file each.

pub(crate) mod data;

use anyhow::Result;

use crate::args::{Args, Command};

/// Runs the command that the arguments name.
pub(crate) fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Data(command) => data::run(&args.global, command),
    }
}
