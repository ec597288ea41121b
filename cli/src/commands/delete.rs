//! `downpour delete`: forgets a run.

use anyhow::{Result, bail};
use serde::Serialize;

use crate::args::Global;
use crate::local::store::{LocalStore, StoreArgs};
use crate::render::output;

/// Delete a run with its parameters and records
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  downpour delete fashion-mnist-k7x2m9qa")]
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
    deleted_keys: u64,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let store = LocalStore::open(global, &args.store)?;
    let run = store.run(Some(&args.run))?;
    if run.status()?.held.contains(&true) {
        bail!("workers train {} right now; downpour stop {} ends that", args.run, args.run);
    }
    let deleted_keys = run.delete()?;
    if global.json {
        return output::json(&Answer { run: &args.run, deleted_keys });
    }
    output::line(&format!("deleted {}", args.run))
}
