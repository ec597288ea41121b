//! The platform that a grid's rounds take place on: any OpenFaaS, by its REST API and its store, or a local
//! one that is brought up for the whole grid.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use anyhow::{Context, Result};
use openfaas::client::Client;
use openfaas::stack::Stack;
use platform::invoker::HttpInvoker;
use platform::settings::Settings;
use sgd_lib::store::Store;
use tokio::task::spawn_blocking;

use crate::local::platform::{Options, Platform};
use crate::remote::access::AccessArgs;
use crate::remote::gateway::client;
use crate::state_dir::StateDir;
use crate::training::CALL;

/// How long a gateway may take to answer at all.
const REACHED_WITHIN: Duration = Duration::from_secs(10);

/// Where rounds take place.
pub(crate) struct Site {
    pub(crate) gateway: Client,
    /// The functions behind it.
    pub(crate) functions: HttpInvoker,
    /// Where the store is, as seen from here; `None` where it is for functions.
    store_url: Option<String>,
    access: AccessArgs,
    own: Option<Platform>,
}

/// What was given of it.
pub(crate) struct Given {
    /// The gateway; `None` for a platform of its own.
    pub(crate) gateway: Option<String>,
    pub(crate) store_url: Option<String>,
    pub(crate) basic_auth: Option<PathBuf>,
    pub(crate) access: AccessArgs,
}

impl Site {
    /// The platform of the gateway given, which must answer; else one of its own, beside any other of the
    /// state folder.
    ///
    /// # Errors
    /// The gateway can't be reached, or refuses the credentials; or no platform can be started.
    pub(crate) async fn find(state_dir: Option<&Path>, given: Given) -> Result<Self> {
        let Some(address) = given.gateway else { return Self::start(state_dir, given.store_url).await };
        let gateway = client(&address, given.basic_auth.as_deref())?;
        gateway.wait_until_healthy(REACHED_WITHIN).await?;
        gateway.list().await.context("is `faas-cli login` needed?")?;
        Self::at(gateway, given.store_url, given.access, None)
    }

    async fn start(state_dir: Option<&Path>, store_url: Option<String>) -> Result<Self> {
        let options = Options { store_url, ..Options::own() };
        let state = StateDir::locate(state_dir)?;
        let platform = Platform::start(&state.beside("grid"), &Stack::default(), options).await?;
        let gateway = Client::new(&platform.running().gateway, None)?;
        let store_url = Some(platform.running().store_url.clone());
        Self::at(gateway, store_url, AccessArgs::default(), Some(platform))
    }

    fn at(
        gateway: Client,
        store_url: Option<String>,
        access: AccessArgs,
        own: Option<Platform>,
    ) -> Result<Self> {
        // As seen from here, whatever way functions have to each other.
        let functions = HttpInvoker::new(&Settings::default().function_url, gateway.gateway(), CALL)?;
        Ok(Self { gateway, functions, store_url, access, own })
    }

    /// Whether it is on this machine, and the grid's own.
    pub(crate) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Tells it from others.
    pub(crate) fn name(&self) -> &str {
        if self.is_own() { "local" } else { self.gateway.gateway() }
    }

    /// In words.
    pub(crate) fn description(&self) -> String {
        let processors = available_parallelism().map_or(1, usize::from);
        match self.own {
            Some(_) => format!("the local gateway, {processors} processors"),
            None => format!("OpenFaaS at {}", self.gateway.gateway()),
        }
    }

    /// The store that functions with these settings use, with the access given, else with theirs.
    ///
    /// # Errors
    /// Its address is none, or a file with its password or authorities can't be read.
    pub(crate) fn store(&self, settings: &Settings) -> Result<Arc<dyn Store>> {
        let mut settings = settings.clone();
        if let Some(url) = &self.store_url {
            settings = settings.overridden_by_flag("store-url", url)?;
        }
        if self.access.is_given() {
            return Ok(Arc::new(self.access.open(settings.store_url.as_str())?));
        }
        Ok(platform::store::open(&settings, |name| env::var(name).ok())?)
    }

    /// Fails at once where rounds could only fail: the store must answer.
    ///
    /// # Errors
    /// It does not.
    pub(crate) async fn check(&self, settings: &Settings) -> Result<()> {
        let store = self.store(settings)?;
        let answer = spawn_blocking(move || store.runs()).await?;
        answer
            .map(drop)
            .context("the store can't be reached; --store-url says where it is, as seen from here")
    }

    /// Stops what was started.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) async fn leave(self) -> Result<()> {
        match self.own {
            Some(platform) => platform.stop().await,
            None => Ok(()),
        }
    }
}
