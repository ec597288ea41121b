//! The store of the runs on this machine, whether a platform runs or not.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use local_redis::{LocalRedis, Options, Transport};
use sgd_lib::downpour::Run;
use sgd_lib::store::{RedisStore, Store};

use super::running;
use crate::args::Global;
use crate::remote::access::AccessArgs;
use crate::state_dir::StateDir;

/// Where a command finds runs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StoreArgs {
    /// The Redis to look into, such as redis://127.0.0.1:6379 [default: the private one]
    #[arg(long, value_name = "URL", env = "store_url", hide_env_values = true)]
    store_url: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
}

impl StoreArgs {
    /// The Redis given, else that of the local platform that runs; `None` where neither is there.
    ///
    /// # Errors
    /// The address is none, or a file with its password or authorities can't be read.
    pub(crate) fn find(&self, global: &Global) -> Result<Option<RedisStore>> {
        if let Some(url) = self.store_url.as_ref().filter(|url| !url.is_empty()) {
            return self.access.open(url).map(Some);
        }
        let state = StateDir::locate(global.state_dir.as_deref())?;
        let running = running::find(state.path())?;
        running.map(|running| Ok(RedisStore::open(&running.store_url)?)).transpose()
    }
}

/// An open store, and the private Redis where it had to be started for it.
pub(crate) struct LocalStore {
    store: Arc<dyn Store>,
    _redis: Option<LocalRedis>,
}

impl LocalStore {
    /// The Redis given, else that of the platform that runs, else the private one, which runs as long as
    /// this value lives.
    ///
    /// # Errors
    /// There is none yet, or it does not come up.
    pub(crate) fn open(global: &Global, args: &StoreArgs) -> Result<Self> {
        if let Some(store) = args.find(global)? {
            return Ok(Self { store: Arc::new(store), _redis: None });
        }
        let state = StateDir::locate(global.state_dir.as_deref())?;
        if !state.redis().is_dir() {
            bail!("there are no runs in {} yet; downpour train makes one", state.path().display());
        }
        let options = Options { transport: Transport::UnixSocket, ..Options::in_dir(state.redis()) };
        let redis = LocalRedis::start(options)?;
        Ok(Self { store: Arc::new(RedisStore::open(redis.url())?), _redis: Some(redis) })
    }

    /// Every run, oldest first.
    pub(crate) fn runs(&self) -> Result<Vec<Run>> {
        let names = self.store.runs()?;
        names.iter().map(|name| Ok(Run::open(self.store.clone(), name)?)).collect()
    }

    /// The run of this name, else the newest.
    pub(crate) fn run(&self, name: Option<&str>) -> Result<Run> {
        match name {
            Some(name) => Ok(Run::open(self.store.clone(), name)?),
            None => self.runs()?.pop().context("there are no runs yet; downpour train makes one"),
        }
    }

    /// The run of this name, else the newest that is over.
    pub(crate) fn finished_run(&self, name: Option<&str>) -> Result<Run> {
        if name.is_some() {
            return self.run(name);
        }
        for run in self.runs()?.into_iter().rev() {
            if run.status()?.is_over() {
                return Ok(run);
            }
        }
        bail!("no run is finished yet; downpour runs lists those that there are")
    }
}
