//! `downpour up`: the local platform until it is told to end.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use openfaas::stack::Stack;
use serde::Serialize;
use sgd_lib::store::without_password;
use tokio::runtime::Runtime;

use crate::args::Global;
use crate::exit_code::BadArguments;
use crate::local::kubeconfig::Place;
use crate::local::payload_secret;
use crate::local::platform::{Options, Platform};
use crate::local::running::Running;
use crate::local::signals::EndSignals;
use crate::local::stack;
use crate::render::output;
use crate::state_dir::StateDir;

/// Start the local gateway and a private Redis, and deploy the stack
///
/// Runs until Ctrl-C or `downpour down`. What is deployed and stored is there again at the next start.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The stack to deploy [default: ./stack.yaml, ./stack.yml, else the built-in one]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The gateway's port; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The gateway's address; any but loopback needs --basic-auth
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Use this Redis instead of a private one, such as redis://127.0.0.1:6379
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// A folder with the files basic-auth-user and basic-auth-password; without it /system is open
    #[arg(long, value_name = "DIR")]
    basic_auth: Option<PathBuf>,
    /// Let faas-cli up build here, without Docker: the file with the secret that it signs with, made where missing
    #[arg(long, value_name = "FILE")]
    payload_secret: Option<PathBuf>,
    /// Deploy nothing, as for faas-cli up
    #[arg(long, conflicts_with = "file")]
    no_deploy: bool,
    /// Write a kubeconfig, with which kubectl sees and scales the functions; it is removed at the end
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Spread replicas over this many virtual nodes, each with a Redis of its own (for database=local)
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=16))]
    nodes: u8,
}

const EXAMPLES: &str = "\
Examples:
  downpour up &
  faas-cli list
  faas-cli invoke emnist-setup </dev/null
  downpour down

  downpour up --no-deploy --payload-secret payload-secret &
  export OPENFAAS_REMOTE_BUILDER=http://127.0.0.1:8080 OPENFAAS_PAYLOAD_SECRET=$PWD/payload-secret
  faas-cli up -f stack.yml

  downpour up --kubeconfig kubeconfig &
  export KUBECONFIG=$PWD/kubeconfig
  kubectl scale deployment emnist-train --replicas=3
  kubectl get pods -o wide";

/// What `--json` prints once all is there.
#[derive(Serialize)]
struct Ready<'a> {
    event: &'static str,
    #[serde(flatten)]
    running: &'a Running,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_secret: Option<&'a Path>,
    kubeconfig: Option<&'a Path>,
    functions: Vec<String>,
}

pub(crate) fn run(global: &Global, args: Args) -> Result<()> {
    if !args.host.is_loopback() && args.basic_auth.is_none() {
        return Err(BadArguments(format!("--host {} needs --basic-auth DIR", args.host)).into());
    }
    let state = StateDir::locate(global.state_dir.as_deref())?;
    let stack = if args.no_deploy { Stack::default() } else { stack::load(args.file.as_deref())? };
    let payload_secret = args.payload_secret.as_deref().map(payload_secret::ensure).transpose()?;
    let options = Options {
        listen: SocketAddr::new(args.host, args.port),
        basic_auth: args.basic_auth,
        payload_secret: payload_secret.clone(),
        store_url: args.redis,
        kubeconfig: args.kubeconfig.as_deref().map(Place::choose).transpose()?,
        nodes: args.nodes.into(),
    };
    Runtime::new()?.block_on(async {
        let mut signals = EndSignals::listen()?;
        let platform = tokio::select! {
            platform = Platform::start(&state, &stack, options) => platform?,
            () = signals.next() => bail!("interrupted"),
        };
        let functions = stack.deployments().into_iter().map(|function| function.service).collect();
        let mut running = platform.running().clone();
        running.store_url = without_password(&running.store_url);
        let (running, payload_secret) = (&running, payload_secret.as_deref());
        let kubeconfig = platform.kubeconfig();
        announce(global, &Ready { event: "ready", running, payload_secret, kubeconfig, functions })?;
        signals.next().await;
        // Whoever asks twice does not want to wait.
        tokio::select! {
            stopped = platform.stop() => stopped,
            () = signals.next() => bail!("interrupted before everything had ended"),
        }
    })
}

fn announce(global: &Global, ready: &Ready<'_>) -> Result<()> {
    if global.json {
        return output::json(ready);
    }
    let builder = |secret: &Path| {
        let (url, secret) = (&ready.running.gateway, secret.display());
        format!("builds     OPENFAAS_REMOTE_BUILDER={url} OPENFAAS_PAYLOAD_SECRET={secret}\n")
    };
    let kubeconfig = ready.kubeconfig.map(|path| format!("kubeconfig {}\n", path.display()));
    output::line(&format!(
        "gateway    {}\nredis      {}\n{}{}functions  {}\nCtrl-C or downpour down ends it",
        ready.running.gateway,
        ready.running.store_url,
        ready.payload_secret.map(builder).unwrap_or_default(),
        kubeconfig.unwrap_or_default(),
        ready.functions.join(" ")
    ))
}
