//! The commands, one file each.

pub(crate) mod data;
pub(crate) mod down;
pub(crate) mod up;

use anyhow::Result;

use crate::args::{Args, Command};

/// Runs the command that the arguments name.
pub(crate) fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Up(command) => up::run(&args.global, command),
        Command::Down(command) => down::run(&args.global, &command),
        Command::Data(command) => data::run(&args.global, command),
    }
}
