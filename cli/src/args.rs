//! The arguments: what every command shares, and the commands.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::commands;

/// Trains neural networks on serverless functions that keep all their state in Redis.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  downpour train                         train Fashion-MNIST, here
  downpour resume RUN                    go on with a run that everybody left
  downpour up                            the local gateway and Redis, for faas-cli
  downpour doctor                        what is missing on a platform
  downpour report                        the newest finished run
  downpour predict digit.png             classify an image with its network
  downpour data get emnist-bymerge       download EMNIST ByMerge
  downpour grid                          the batch experiments, with plots
  downpour data info ./my-data           what is in a folder

Exit codes: 0 done, 1 failed, 2 bad arguments.";

/// What every command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The folder of runs, downloads, the private Redis and the local gateway
    /// [default: $XDG_STATE_HOME/downpour or ~/.local/state/downpour]
    #[arg(long, global = true, value_name = "DIR", env = "DOWNPOUR_STATE")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Train(commands::train::Args),
    Resume(commands::resume::Args),
    Up(commands::up::Args),
    Down(commands::down::Args),
    Doctor(commands::doctor::Args),
    Status(commands::status::Args),
    Runs(commands::runs::Args),
    Report(commands::report::Args),
    Logs(commands::logs::Args),
    Stop(commands::stop::Args),
    Delete(commands::delete::Args),
    Predict(commands::predict::Args),
    Export(commands::export::Args),
    Data(commands::data::Args),
    Grid(commands::grid::Args),
    Bench(commands::bench::Args),
}
