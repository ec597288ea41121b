//! `downpour stop`: ends a run before its time.

use anyhow::Result;
use serde::Serialize;

use crate::args::Global;
use crate::local::store::{LocalStore, StoreArgs};
use crate::render::output;

/// Ask the workers of a run to stop; what they learned stays
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  downpour stop fashion-mnist-k7x2m9qa")]
pub(crate) struct Args {
    /// The run
    run: String,
    #[command(flatten)]
    store: StoreArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    run: &'a str,
    stop: &'static str,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let store = LocalStore::open(global, &args.store)?;
    let run = store.run(Some(&args.run))?;
    let reason = run.stop()?;
    if global.json {
        return output::json(&Answer { run: run.name(), stop: reason.name() });
    }
    output::line(&format!("run {}: {reason}", run.name()))
}
