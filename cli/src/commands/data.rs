//! `downpour data`: gets published data sets, looks into folders, fills the store.

mod get;
mod info;
mod push;

use anyhow::Result;
use clap::Subcommand;

use crate::args::Global;

/// Download published data sets, see what a folder holds, put one into the store
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Get(get::Args),
    Info(info::Args),
    Push(push::Args),
}

pub(crate) fn run(global: &Global, args: Args) -> Result<()> {
    match args.command {
        Command::Get(args) => get::run(global, &args),
        Command::Info(args) => info::run(global, &args),
        Command::Push(args) => push::run(global, &args),
    }
}
