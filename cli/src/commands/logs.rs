//! `downpour logs`: what functions wrote.

use anyhow::{Context, Result};
use openfaas::client::LogQuery;
use tokio::runtime::Runtime;

use crate::args::Global;
use crate::remote::gateway::GatewayArgs;
use crate::render::output;

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
    #[command(flatten)]
    gateway: GatewayArgs,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let client = args.gateway.find(global)?;
    let client =
        client.context("no local gateway runs; downpour up starts it, or name one with --gateway URL")?;
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
