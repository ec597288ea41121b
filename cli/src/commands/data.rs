//! `downpour data`: gets published data sets and looks into folders.

mod get;
mod info;

use anyhow::Result;
use clap::Subcommand;

use crate::args::Global;

/// Download published data sets, or see what a folder holds
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Get(get::Args),
    Info(info::Args),
}

pub(crate) fn run(global: &Global, args: Args) -> Result<()> {
    match args.command {
        Command::Get(args) => get::run(global, &args),
        Command::Info(args) => info::run(global, &args),
    }
}
