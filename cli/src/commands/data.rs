//! `downpour data`: gets published data sets.
use crate::args::Global;
use anyhow::Result;

/// Data
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
pub(crate) fn run(_global: &Global, _args: Args) -> Result<()> {
    Ok(())
}
