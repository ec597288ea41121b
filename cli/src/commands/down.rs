//! `downpour down`: stops what `downpour up` started.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::args::Global;
use crate::local::running;
use crate::render::output;
use crate::state_dir::StateDir;

/// Stop the local gateway and Redis; runs and deployments stay in the state folder
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  downpour down")]
pub(crate) struct Args {}

/// The gateway waits up to 40 s for its functions, Redis has 10 s to write out its data.
const LIMIT: Duration = Duration::from_secs(60);

/// What `--json` prints.
#[derive(Serialize)]
struct Answer {
    stopped: bool,
}

pub(crate) fn run(global: &Global, _args: &Args) -> Result<()> {
    let state = StateDir::locate(global.state_dir.as_deref())?;
    let stopped = running::stop(state.path(), LIMIT)?;
    if global.json {
        return output::json(&Answer { stopped: stopped.is_some() });
    }
    match stopped {
        Some(running) => output::line(&format!("stopped the gateway at {}", running.gateway)),
        None => output::line("nothing was running"),
    }
}
