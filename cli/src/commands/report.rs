//! `downpour report`: the table of a run.

use anyhow::Result;

use crate::args::Global;
use crate::local::store::{LocalStore, StoreArgs};
use crate::render::output;
use crate::report::Report;

/// Show what a run did: its workers, its speed, its accuracy
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  downpour report\n  downpour report fashion-mnist-k7x2m9qa --json")]
pub(crate) struct Args {
    /// The run [default: the newest that is finished]
    run: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let store = LocalStore::open(global, &args.store)?;
    let run = store.finished_run(args.run.as_deref())?;
    let report = Report::new(&run, &run.status()?);
    if global.json { output::json(&report) } else { output::line(&report.to_string()) }
}
