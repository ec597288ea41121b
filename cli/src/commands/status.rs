//! `downpour status`: how a run stands.

use anyhow::Result;

use crate::args::Global;
use crate::local::store::{LocalStore, StoreArgs};
use crate::render::output;
use crate::report::Report;

/// Show how a run stands
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  downpour status\n  downpour status fashion-mnist-k7x2m9qa --json")]
pub(crate) struct Args {
    /// The run [default: the newest]
    run: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let store = LocalStore::open(global, &args.store)?;
    let run = store.run(args.run.as_deref())?;
    let report = Report::new(&run, &run.status()?);
    if global.json { output::json(&report) } else { output::line(&report.to_string()) }
}
