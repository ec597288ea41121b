//! `downpour logs`: what functions wrote.

use std::path::PathBuf;

use anyhow::{Result, bail};
use openfaas::client::LogQuery;
use tokio::runtime::Runtime;

use crate::args::Global;
use crate::local::platform::client;
use crate::local::running;
use crate::render::output;
use crate::state_dir::StateDir;

/// Show what a function wrote
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  downpour logs\n  downpour logs emnist-setup --follow --tail 20")]
pub(crate) struct Args {
    /// The function
    #[arg(default_value = "emnist-train")]
    function: String,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// Only the last so many lines of what was written
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
    /// The gateway to ask [default: the local one]
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
    /// A folder with the files basic-auth-user and basic-auth-password, for a gateway that wants them
    #[arg(long, value_name = "DIR")]
    basic_auth: Option<PathBuf>,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let gateway = match &args.gateway {
        Some(gateway) => gateway.clone(),
        None => local_gateway(global)?,
    };
    let client = client(&gateway, args.basic_auth.as_deref())?;
    let query = LogQuery { follow: args.follow, tail: args.tail, since: None };
    Runtime::new()?.block_on(async {
        let mut lines = client.logs(&args.function, &query).await?;
        while let Some(message) = lines.next().await? {
            if global.json {
                output::json(&message)?;
            } else {
                output::line(&format!("{} {} {}", message.timestamp, message.instance, message.text))?;
            }
        }
        Ok(())
    })
}

fn local_gateway(global: &Global) -> Result<String> {
    let state = StateDir::locate(global.state_dir.as_deref())?;
    match running::find(state.path())? {
        Some(running) => Ok(running.gateway),
        None => bail!("no local gateway runs; downpour up starts it, or name one with --gateway URL"),
    }
}
