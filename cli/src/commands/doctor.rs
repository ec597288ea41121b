//! `downpour doctor`: what is missing on a platform.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::runtime::Runtime;

use crate::args::Global;
use crate::doctor::pods::Pods;
use crate::doctor::{Finding, Level, Subject, examine};
use crate::local::store::StoreArgs;
use crate::remote::gateway::GatewayArgs;
use crate::render::output;

/// Say what is missing on a platform, and what to do about it
///
/// A line for each thing that was looked at: ok, warning or PROBLEM. Exits with 1 where there is a problem.
/// Changes nothing.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(flatten)]
    store: StoreArgs,
    /// What kubectl get pods -A -o json printed, in a file or, with -, on standard input: where pods are
    #[arg(long, value_name = "FILE")]
    pods: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  downpour doctor
  downpour doctor --gateway http://127.0.0.1:8080 --store-url redis://127.0.0.1:6379
  kubectl get pods -A -o json | downpour doctor --pods -";

/// How long a Redis that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let subject = Subject {
        gateway: args.gateway.find(global)?,
        store: args.store.find(global)?.map(|store| store.with_patience(PATIENCE)),
        pods: args.pods.as_deref().map(Pods::read).transpose()?,
    };
    let findings = Runtime::new()?.block_on(examine(&subject));
    if global.json {
        output::json(&findings)?;
    } else {
        findings.iter().try_for_each(|finding| output::line(&finding.to_string()))?;
    }
    match count(&findings, Level::Problem) {
        0 => Ok(()),
        1 => bail!("1 problem"),
        problems => bail!("{problems} problems"),
    }
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}
