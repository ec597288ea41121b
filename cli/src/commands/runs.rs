//! `downpour runs`: every run that there is.

use anyhow::Result;

use crate::args::Global;
use crate::local::store::{LocalStore, StoreArgs};
use crate::render::output;
use crate::report::Report;
use figures::table::table;

/// List every run, oldest first
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  downpour runs\n  downpour runs --store-url redis://redis.example:6379 --json"
)]
pub(crate) struct Args {
    #[command(flatten)]
    store: StoreArgs,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let store = LocalStore::open(global, &args.store)?;
    let reports: Vec<Report> =
        store.runs()?.iter().map(|run| Ok(Report::new(run, &run.status()?))).collect::<Result<_>>()?;
    if global.json { output::json(&reports) } else { output::line(&text(&reports)) }
}

fn text(reports: &[Report]) -> String {
    let rows = reports.iter().map(|report| {
        vec![
            report.run.clone(),
            report.dataset.clone(),
            report.workers.len().to_string(),
            report.epochs.to_string(),
            report.test_accuracy.map_or_else(String::new, |accuracy| format!("{:.2} %", 100.0 * accuracy)),
            report.state.to_string(),
        ]
    });
    table(&["Run", "Data set", "Workers", "Epochs", "Test accuracy", "State"], rows)
}
