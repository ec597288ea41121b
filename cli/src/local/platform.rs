//! Brings the local platform up and down.

use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use gateway::Gateway;
use local_redis::LocalRedis;
use openfaas::stack::Stack;

use super::kubeconfig::{Kubeconfig, Place};
use super::nodes::{self, Nodes};
use super::redis;
use super::running::{Claim, Running};
use crate::remote::gateway::{client, credentials};
use crate::state_dir::StateDir;

/// What to bring up.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Where the gateway listens; port 0 takes a free one.
    pub(crate) listen: SocketAddr,
    /// Folder with `basic-auth-user` and `basic-auth-password`.
    pub(crate) basic_auth: Option<PathBuf>,
    /// File with the secret that `faas-cli up` signs builds with; without it nothing is built.
    pub(crate) payload_secret: Option<PathBuf>,
    /// The Redis to use instead of a private one.
    pub(crate) store_url: Option<String>,
    /// Where to write the file that lets kubectl find the gateway.
    pub(crate) kubeconfig: Option<Place>,
    /// Virtual nodes, each with a Redis of its own; 0: this machine is the only node, without one.
    pub(crate) nodes: usize,
}

impl Options {
    /// On a free port of this machine, with its own Redis, for this command alone.
    pub(crate) fn own() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            basic_auth: None,
            payload_secret: None,
            store_url: None,
            kubeconfig: None,
            nodes: 0,
        }
    }
}

/// A running platform; dropping it kills what it started, [`Platform::stop`] lets it finish.
pub(crate) struct Platform {
    // In the order in which they have to go.
    kubeconfig: Option<Kubeconfig>,
    gateway: Gateway,
    nodes: Nodes,
    redis: Option<LocalRedis>,
    running: Running,
    _claim: Claim,
}

impl Platform {
    /// Starts Redis and the gateway, deploys the stack, and only then lets `/healthz` say so.
    ///
    /// # Errors
    /// A platform runs in this state folder already; Redis or the gateway does not come up; a function
    /// can't be deployed.
    pub(crate) async fn start(state: &StateDir, stack: &Stack, options: Options) -> Result<Self> {
        state.create(state.path())?;
        let mut claim = Claim::take(state.path())?;
        let nodes = Nodes::start(state, options.nodes);
        let redis = async {
            match options.store_url {
                Some(_) => Ok(None),
                None => redis::start(&state.redis()).await.map(Some),
            }
        };
        let (nodes, redis) = tokio::try_join!(nodes, redis)?;
        let store_url = match (&redis, &options.store_url) {
            (Some(redis), _) => redis.url().to_owned(),
            (None, given) => given.clone().unwrap_or_default(),
        };
        let (basic_auth, place) = (options.basic_auth.clone(), options.kubeconfig.clone());
        state.create(&state.prepared())?;
        let count = options.nodes;
        let mut config = gateway_config(state, options, &store_url)?;
        config.nodes = nodes.for_gateway();
        let gateway = Gateway::start(config)?;
        let running = Running {
            pid: std::process::id(),
            gateway: format!("http://{}", gateway.address()),
            store_url,
            nodes: count,
        };
        let client = client(&running.gateway, basic_auth.as_deref())?;
        for function in stack.deployments() {
            let name = function.service.clone();
            client.deploy(&function).await.with_context(|| format!("can't deploy {name}"))?;
        }
        let credentials = basic_auth.as_deref().map(credentials).transpose()?;
        let kubeconfig =
            place.map(|place| place.write(gateway.address(), credentials.as_ref())).transpose()?;
        gateway.set_ready();
        claim.announce(&running)?;
        Ok(Self { kubeconfig, gateway, nodes, redis, running, _claim: claim })
    }

    /// Where everything is.
    pub(crate) fn running(&self) -> &Running {
        &self.running
    }

    /// The file that lets kubectl find the gateway, where one was wanted.
    pub(crate) fn kubeconfig(&self) -> Option<&Path> {
        self.kubeconfig.as_ref().map(Kubeconfig::path)
    }

    /// Lets functions finish what they are doing, then stops Redis.
    ///
    /// # Errors
    /// Redis can't be waited for.
    pub(crate) async fn stop(self) -> Result<()> {
        drop(self.kubeconfig);
        self.gateway.shutdown().await;
        self.nodes.stop().await?;
        match self.redis {
            Some(redis) => redis::stop(redis).await,
            None => Ok(()),
        }
    }
}

fn gateway_config(state: &StateDir, options: Options, store_url: &str) -> Result<gateway::Config> {
    let executable = env::current_exe().context("can't tell where this program is")?;
    // Functions are built into the same folder as this program.
    let image_dir = executable.parent().unwrap_or(Path::new("/")).to_owned();
    let mut config = gateway::Config::new(state.gateway(), image_dir);
    config.listen = options.listen;
    config.basic_auth = options.basic_auth;
    config.payload_secret = options.payload_secret;
    let folders = [("data_root", state.datasets()), ("cache_dir", state.prepared())];
    for (variable, folder) in folders {
        let folder = folder.into_os_string().into_string();
        let folder = folder.map_err(|folder| anyhow!("the state folder {folder:?} is not valid UTF-8"))?;
        config.environment.insert(variable.to_owned(), folder);
    }
    // A stack that does not name it gets it, too.
    config.environment.insert("local_store_url".to_owned(), nodes::CLUSTER_ADDRESS.to_owned());
    config.addresses.push((redis::CLUSTER_ADDRESS.to_owned(), store_url.to_owned()));
    Ok(config)
}
