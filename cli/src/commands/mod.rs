//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod delete;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod export;
pub(crate) mod grid;
pub(crate) mod logs;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod runs;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod train;
pub(crate) mod up;

use anyhow::Result;

use crate::args::{Args, Command};

/// Runs the command that the arguments name.
pub(crate) fn run(args: Args) -> Result<()> {
    match args.command {
        Command::Train(command) => train::run(&args.global, &command),
        Command::Resume(command) => resume::run(&args.global, &command),
        Command::Up(command) => up::run(&args.global, command),
        Command::Doctor(command) => doctor::run(&args.global, &command),
        Command::Down(command) => down::run(&args.global, &command),
        Command::Status(command) => status::run(&args.global, &command),
        Command::Runs(command) => runs::run(&args.global, &command),
        Command::Report(command) => report::run(&args.global, &command),
        Command::Logs(command) => logs::run(&args.global, &command),
        Command::Stop(command) => stop::run(&args.global, &command),
        Command::Delete(command) => delete::run(&args.global, &command),
        Command::Predict(command) => predict::run(&args.global, &command),
        Command::Export(command) => export::run(&args.global, &command),
        Command::Data(command) => data::run(&args.global, command),
        Command::Bench(command) => bench::run(&args.global, &command),
        Command::Grid(command) => grid::run(&args.global, &command),
    }
}
