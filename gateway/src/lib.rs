//! A local, OpenFaaS-compatible gateway: one process per replica, no containers.
//!
//! An unchanged `faas-cli` deploys, invokes, scales and removes functions through [`Gateway`]; an image name maps to
//! a binary in a folder, and a replica is a process of it on loopback. The gateway knows nothing of what functions do.
//!
//! What needs containers is kept and shown, but has no effect: limits and requests, constraints, a read-only root.
//!
//! # Layout
//! - `routes`: the REST API, one file a resource
//! - `specification`: what a deployment asks for, checked
//! - `kubernetes`: as much of Kubernetes' API as kubectl needs to look, to scale and to delete pods
//! - `supervisor`: functions and their replicas
//! - `server`, `patience`, `budget`: connections of clients, however slow or many they are
//! - `proxy`, `upgrade`, `upstream`: calls of functions
//! - `queue`: asynchronous calls, kept on disk until they are done
//! - `scheduler`: calls by the clock
//! - `builder`: images made of build contexts, for `faas-cli up` without Docker
//! - `images`, `lines`, `digest`, `secrets`, `logs`, `metrics`, `auth`, `storage`, `tasks`: what these stand on

mod auth;
mod budget;
mod builder;
mod config;
mod digest;
mod draining;
mod error;
mod following;
#[doc(hidden)]
pub mod fuzzing;
mod images;
mod kubernetes;
mod lines;
mod logs;
mod metrics;
mod patience;
mod proxy;
mod queue;
mod routes;
mod scheduler;
mod secrets;
mod server;
mod specification;
mod storage;
mod supervisor;
mod tasks;
mod upgrade;
mod upstream;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

pub use crate::config::{Config, Node, QueueConfig};
pub use crate::error::{GatewayError, StorageError};
pub use crate::specification::parse_duration;

use crate::auth::Credentials;
use crate::budget::Budget;
use crate::builder::Builder;
use crate::images::Images;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::secrets::Secrets;
use crate::server::Bounds;
use crate::supervisor::Supervisor;
use crate::supervisor::context::Context;
use crate::supervisor::environment::Surroundings;
use crate::supervisor::group::Groups;
use crate::supervisor::idler;
use crate::tasks::Tasks;

/// How long connections get to close once nothing answers calls any more.
const CLOSING: Duration = Duration::from_secs(2);

/// What all parts of a gateway share.
pub(crate) struct SharedState {
    pub(crate) config: Config,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) context: Arc<Context>,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) queue: Queue,
    pub(crate) budget: Budget,
    /// `None` without a payload secret.
    pub(crate) builder: Option<Arc<Builder>>,
    pub(crate) kubernetes: Arc<kubernetes::Store>,
    pub(crate) metrics: Metrics,
    pub(crate) ready: AtomicBool,
    /// What answers requests. Long answers, such as logs that are followed, end when it drains.
    pub(crate) server: Tasks,
}

/// A handle on [`SharedState`].
pub(crate) type Shared = Arc<SharedState>;

/// A running gateway. Dropping it kills its replicas; [`Gateway::shutdown`] lets them finish.
pub struct Gateway {
    address: SocketAddr,
    shared: Shared,
    /// Locked while the gateway lives: one gateway a folder.
    lock: File,
}

impl Gateway {
    /// Starts a gateway, with what was deployed and queued when the last one on the same folder ended. Needs a tokio
    /// runtime. `/healthz` answers 503 until [`Gateway::set_ready`].
    pub fn start(mut config: Config) -> Result<Self, GatewayError> {
        Handle::try_current().map_err(|_| GatewayError::NoRuntime)?;
        if config.basic_auth.is_none() && !config.listen.ip().is_loopback() {
            return Err(GatewayError::NeedsAuthentication(config.listen));
        }
        let credentials = config.basic_auth.as_deref().map(Credentials::read).transpose()?;
        storage::create_folder(&config.state_dir)?;
        // Replicas get paths in it, and have folders of their own.
        let absolute = fs::canonicalize(&config.state_dir);
        config.state_dir = absolute.map_err(StorageError::io("open", &config.state_dir))?;
        let lock = lock(&config.state_dir)?;
        let (listener, address) = listen(config.listen)?;
        let context = Arc::new(context(&config, address)?);
        let supervisor =
            Arc::new(Supervisor::open(context.clone(), &config.state_dir, config.queue.concurrency)?);
        let queue = Queue::open(&config.state_dir, config.queue.clone())?;
        let builder = config
            .payload_secret
            .as_deref()
            .map(|secret| Builder::open(context.clone(), &config.state_dir, secret));
        let shared = Arc::new(SharedState {
            credentials,
            kubernetes: Arc::new(kubernetes::Store::new(supervisor.clone(), context.clone(), address)),
            context,
            supervisor,
            queue,
            budget: Budget::new(),
            builder: builder.transpose()?.map(Arc::new),
            metrics: Metrics::new(),
            ready: AtomicBool::new(false),
            server: Tasks::default(),
            config,
        });
        queue::resume(&shared)?;
        look_after(&shared);
        serve(listener, &shared);
        tracing::info!(%address, "gateway listening");
        Ok(Self { address, shared, lock })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `/healthz` answers 200.
    pub fn set_ready(&self) {
        self.shared.ready.store(true, Ordering::Relaxed);
    }

    /// Stops accepting requests, tells replicas to end, waits for them and for the calls they are answering, and kills
    /// what is left after [`Config::shutdown_timeout`]. What is deployed and queued stays on disk.
    pub async fn shutdown(self) {
        self.shared.ready.store(false, Ordering::Relaxed);
        self.shared.server.drain();
        self.shared.supervisor.retire_all();
        let tasks = &self.shared.context.tasks;
        tasks.drain();
        let limit = self.shared.config.shutdown_timeout;
        if !tasks.ended(limit).await {
            tracing::warn!(?limit, "not everything ended in time: the rest is killed");
        }
        self.shared.server.ended(CLOSING).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.server.kill();
        self.shared.context.tasks.kill();
        self.shared.queue.close();
        self.shared.context.groups.kill_all();
        let _ = fs::remove_dir_all(&self.shared.context.replicas);
        // Not left to the closing of the file: a process that is just being started holds a copy of it for a moment.
        let _ = self.lock.unlock();
    }
}

fn lock(state_dir: &Path) -> Result<File, GatewayError> {
    let path = state_dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(StorageError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(GatewayError::InUse(state_dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(StorageError::io("lock", path)(error).into()),
    }
}

fn listen(address: SocketAddr) -> Result<(tokio::net::TcpListener, SocketAddr), GatewayError> {
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        Ok((tokio::net::TcpListener::from_std(listener)?, bound))
    };
    bind().map_err(|source| GatewayError::Listen { address, source })
}

fn context(config: &Config, gateway: SocketAddr) -> Result<Context, GatewayError> {
    Ok(Context {
        images: Images::open(&config.state_dir, &config.image_dir)?,
        replicas: config.state_dir.join("replicas"),
        surroundings: Surroundings {
            defaults: config.environment.clone(),
            addresses: config.addresses.clone(),
            gateway,
            nodes: match config.nodes.as_slice() {
                [] => vec![this_machine()],
                nodes => nodes.to_vec(),
            },
        },
        grace_period: config.grace_period,
        logs: Logs::open(&config.state_dir)?,
        secrets: Secrets::open(&config.state_dir)?,
        client: upstream::client(),
        groups: Groups::default(),
        tasks: Tasks::default(),
        changes: watch::Sender::new(()),
    })
}

/// Starts what goes on beside requests; it ends when the gateway drains.
fn look_after(shared: &Shared) {
    let tasks = &shared.context.tasks;
    let (idle, clock, draining) = (shared.supervisor.clone(), shared.clone(), tasks.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = idler::run(idle) => {}
            () = scheduler::run(clock) => {}
            () = draining.draining() => {}
        }
    });
}

fn this_machine() -> Node {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Node { name, addresses: Vec::new() }
}

fn serve(listener: tokio::net::TcpListener, shared: &Shared) {
    let server = &shared.server;
    let router = routes::router(shared.clone());
    let Config { read_timeout, write_timeout, .. } = shared.config;
    server.spawn(server::serve(listener, router, Bounds { read_timeout, write_timeout }, server.clone()));
}
