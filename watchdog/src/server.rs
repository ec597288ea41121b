//! The server's life: listening, serving, and the order in which it ends.

use std::convert::Infallible;
use std::fmt::Display;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::call::Call;
use crate::config::Config;
use crate::connection::Bounds;
use crate::function::Function;
use crate::listener;
use crate::lock_file::LockFile;
use crate::reply::Reply;
use crate::service::Service;
use crate::shutdown::Shutdown;

/// The two sockets of a function.
#[derive(Debug)]
pub struct Listeners {
    /// For calls and probes.
    pub function: TcpListener,
    /// For `/metrics`.
    pub metrics: TcpListener,
}

/// How to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Unready at once, but serving for another `healthcheck_interval`: whoever routes calls here learns
    /// of it only from its next probe.
    AfterDrainDelay,
    /// Without that delay. Calls in flight are still waited for.
    Now,
}

/// Why a function could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, not on this machine, or not allowed.
    #[error("can't listen on {address} (set by bind_address and {variable}): {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The variable that holds its port.
        variable: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The lock file could not be created.
    #[error("can't create the lock file {} (set by TMPDIR; suppress_lock=true does without): {source}", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The runtime or its signal handlers could not be started.
    #[error("can't start the runtime: {0}")]
    Runtime(#[from] io::Error),
}

impl Listeners {
    /// Binds the configured addresses; port 0 takes any free one.
    pub async fn bind(config: &Config) -> Result<Self, ServeError> {
        Ok(Self {
            function: bind(config.address, "port").await?,
            metrics: bind(config.metrics_address, "metrics_port").await?,
        })
    }
}

async fn bind(address: SocketAddr, variable: &'static str) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Bind { address, variable, source })
}

/// Serves `handler` until `stop` completes, then ends in OpenFaaS's order: the lock file goes, the probes
/// answer 503 and handlers see the request to stop; after the drain delay nothing is accepted any more;
/// then it waits until no call is in flight, at most write_timeout.
///
/// Dropping the future ends everything at once.
pub async fn serve<H, F, E>(
    config: Config,
    listeners: Listeners,
    handler: H,
    stop: impl Future<Output = Stop>,
) -> Result<(), ServeError>
where
    H: Fn(Call) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Reply, E>> + Send + 'static,
    E: Display + Send,
{
    let lock = create_lock(&config)?;
    log_addresses(&listeners)?;
    let bounds = Bounds { read_timeout: config.read_timeout, write_timeout: config.write_timeout };
    let service = Arc::new(Service::new(config, Function::new(handler)));
    let closing = Shutdown::new();
    // Sets, because they end their tasks when they are dropped.
    let (mut functions, mut metrics) = (JoinSet::new(), JoinSet::new());
    functions.spawn({
        let (service, closing) = (Arc::clone(&service), closing.clone());
        async move {
            let calls = service.calls().clone();
            let respond = move |request: Request<Incoming>| {
                let service = Arc::clone(&service);
                async move { service.respond(request).await }
            };
            listener::serve(listeners.function, bounds, closing, respond).await;
            calls.idle().await;
        }
    });
    metrics.spawn({
        let service = Arc::clone(&service);
        let respond = move |request: Request<Incoming>| {
            std::future::ready(Ok::<_, Infallible>(service.respond_metrics(&request)))
        };
        // Scraped to the very end: never asked to close.
        listener::serve(listeners.metrics, bounds, Shutdown::new(), respond)
    });

    let stop = stop.await;
    drop(lock);
    service.drain();
    if stop == Stop::AfterDrainDelay {
        tracing::info!("draining: still serving for {:?}", service.config().healthcheck_interval);
        tokio::time::sleep(service.config().healthcheck_interval).await;
    }
    closing.request();
    if tokio::time::timeout(bounds.write_timeout, functions.join_next()).await.is_err() {
        tracing::warn!("calls still in flight after write_timeout: {}", service.calls().count());
    }
    Ok(())
}

fn create_lock(config: &Config) -> Result<Option<LockFile>, ServeError> {
    let Some(path) = &config.lock_file else { return Ok(None) };
    let lock = LockFile::create(path).map_err(|source| ServeError::Lock { path: path.clone(), source })?;
    Ok(Some(lock))
}

fn log_addresses(listeners: &Listeners) -> io::Result<()> {
    let (function, metrics) = (listeners.function.local_addr()?, listeners.metrics.local_addr()?);
    tracing::info!("listening on {function}, metrics on {metrics}");
    Ok(())
}
