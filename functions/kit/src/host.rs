//! What a function is given: settings, store, invoker, name.

use std::env;
use std::future::Future;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use platform::data::{self, DataError};
use platform::identity::Identity;
use platform::invoker::{HttpInvoker, Invoker, UrlTemplate};
use platform::replicas::{Replicas, ReplicasError};
use platform::settings::Settings;
use platform::store::OpenError;
use sgd_lib::dataset::Dataset;
use sgd_lib::downpour::DataRef;
use sgd_lib::store::{Store, StoreError};
use watchdog::{Call, Reply};

use crate::seat::Seats;
use crate::{Refusal, Seat};

/// One attempt to call another function may take this long: a replica may have to start first.
const ATTEMPT: Duration = Duration::from_secs(10);

/// What a function is given, read once.
pub struct Host {
    /// The environment's settings; a request body may override them for one run.
    pub settings: Settings,
    /// The store of this function's environment.
    pub store: Arc<dyn Store>,
    /// How other functions are called.
    pub invoker: Arc<dyn Invoker>,
    /// The names of this replica and its machine.
    pub identity: Identity,
    seats: Seats,
    /// The data that were opened last stay mapped for the next invocation.
    data: Mutex<Option<Arc<Dataset>>>,
}

impl Host {
    /// Reads the environment.
    ///
    /// # Errors
    /// A variable's value that can't be, or a secret that can't be read.
    pub fn from_environment() -> Result<Self> {
        let lookup = |name: &str| env::var(name).ok();
        let settings = Settings::from_environment(lookup)?;
        let store = platform::store::open_patiently(&settings, lookup)?;
        let invoker = HttpInvoker::new(&settings.function_url, &settings.gateway, ATTEMPT)
            .context("gateway_hostname")?;
        Ok(Self::new(settings, store, Arc::new(invoker), Identity::from_environment(lookup)))
    }

    /// Of these, whatever the environment says.
    pub fn new(
        settings: Settings,
        store: Arc<dyn Store>,
        invoker: Arc<dyn Invoker>,
        identity: Identity,
    ) -> Self {
        Self { settings, store, invoker, identity, seats: Seats::default(), data: Mutex::default() }
    }

    /// The gateway's asynchronous queue. It answers 202, and calls the function when it can.
    ///
    /// # Errors
    /// Functions are called past the gateway.
    pub fn queue(&self) -> Result<HttpInvoker> {
        let Settings { function_url, gateway, .. } = &self.settings;
        ensure!(
            function_url.needs_gateway(),
            "fan_out is async, which takes OpenFaaS' gateway; function_url is {function_url}, which needs none"
        );
        Ok(HttpInvoker::new(&UrlTemplate::queue(), gateway, ATTEMPT)?)
    }

    /// What counts the train function's replicas, where a run's workers follow them.
    ///
    /// # Errors
    /// Functions are called past the gateway, or its password can't be read.
    pub fn replicas(&self) -> Result<Replicas, ReplicasError> {
        Replicas::of(&self.settings, |name| env::var(name).ok())
    }

    /// Serves `handle` until the process is told to end.
    pub fn serve<H, F>(handle: H) -> ExitCode
    where
        H: Fn(Arc<Self>, Call) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply, Refusal>> + Send + 'static,
    {
        match Self::from_environment() {
            Ok(host) => {
                let host = Arc::new(host);
                watchdog::run(move |call| {
                    let answer = handle(host.clone(), call);
                    async move { Ok::<_, std::convert::Infallible>(answer.await.unwrap_or_else(Refusal::reply)) }
                })
            }
            Err(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(64)
            }
        }
    }

    /// The store of this node, if one answers; else why not.
    ///
    /// # Errors
    /// Its address is none, or the secret with its password can't be read.
    pub fn local_store(&self) -> Result<Result<Arc<dyn Store>, StoreError>, OpenError> {
        platform::store::open_local(&self.settings, |name| env::var(name).ok())
    }

    /// The data of a run that exists. Blocks.
    ///
    /// # Errors
    /// They are nowhere, torn, or not those that the run was set up with.
    pub fn data_for(&self, run: &DataRef) -> Result<Arc<Dataset>, DataError> {
        let mut last = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(data) = last.as_ref().filter(|data| data.digest() == run.digest) {
            return Ok(data.clone());
        }
        let data = Arc::new(data::open_for(&self.settings, run, &*self.store)?);
        *last = Some(data.clone());
        Ok(data)
    }

    /// A place for a worker of the run in this replica; `None` where it shall be the only one, and is not.
    pub fn seat(&self, run: &str, alone: bool) -> Option<Seat> {
        self.seats.take(run, alone)
    }
}

/// Runs what blocks (files, the store) beside the threads that answer the probes.
///
/// # Errors
/// What `work` returns, or that it panicked.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await?
}
