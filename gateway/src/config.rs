//! What a gateway is started with.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Names under which a function in a cluster reaches the gateway; replicas get this gateway's address instead.
pub(crate) const CLUSTER_NAMES: [&str; 2] =
    ["gateway.openfaas.svc.cluster.local:8080", "gateway.openfaas:8080"];

/// What a [`Gateway`](crate::Gateway) is started with; [`Config::new`] fills in the defaults.
#[derive(Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free port. Any address but loopback needs [`Config::basic_auth`].
    pub listen: SocketAddr,
    /// Folder for what survives a restart: deployments, secrets, queued invocations, logs. One gateway at a time.
    pub state_dir: PathBuf,
    /// Folder of the binaries that image names map to: `docker.io/me/echo:latest` runs `image_dir/echo`, unless a
    /// later `POST /build` made an image of that name.
    pub image_dir: PathBuf,
    /// Folder with the files `basic-auth-user` and `basic-auth-password`; without it `/system` is open.
    pub basic_auth: Option<PathBuf>,
    /// File with the secret that clients of `POST /build` sign with; without it there is no such route.
    pub payload_secret: Option<PathBuf>,
    /// Variables that every replica gets unless its deployment sets them.
    pub environment: BTreeMap<String, String>,
    /// What the cluster's DNS would resolve: text to find in variables' values and what to put in its place. The
    /// gateway's own names (`gateway.openfaas:8080`) are replaced by its address after these.
    pub addresses: Vec<(String, String)>,
    /// The nodes that replicas are spread over; none is this machine.
    pub nodes: Vec<Node>,
    /// How long a client may take to send the head of a request, or to begin the next one, and how long its body may be
    /// waited for beside what it earns by coming.
    pub read_timeout: Duration,
    /// How long a client may read nothing of its answer.
    pub write_timeout: Duration,
    /// How long a function may take to begin its answer to a synchronous call.
    pub upstream_timeout: Duration,
    /// How long a call waits for a replica to become ready, such as the first one after scaling to zero.
    pub ready_timeout: Duration,
    /// How long a replica has after SIGTERM before SIGKILL, unless its deployment sets `write_timeout`.
    pub grace_period: Duration,
    /// Upper bound of one [`shutdown`](crate::Gateway::shutdown), whatever grace period replicas have.
    pub shutdown_timeout: Duration,
    /// The asynchronous queue.
    pub queue: QueueConfig,
}

/// A node that replicas can be on. Here all nodes are this machine: they differ by name and by what is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What its replicas get as `node_name`.
    pub name: String,
    /// As [`Config::addresses`], for its replicas alone, and before those.
    pub addresses: Vec<(String, String)>,
}

/// How the asynchronous queue delivers.
#[derive(Clone, Debug)]
pub struct QueueConfig {
    /// Invocations of one function that run at a time.
    pub concurrency: usize,
    /// Invocations that may wait; more are refused with 503.
    pub capacity: usize,
    /// Bytes that one invocation's body may have; more are refused with 413.
    pub body_limit: usize,
    /// Attempts before an invocation is given up.
    pub attempts: u32,
    /// Statuses after which another attempt is worth it.
    pub retry_codes: Vec<u16>,
    /// Wait before the second attempt; doubles with each further one.
    pub min_wait: Duration,
    /// The longest wait between two attempts.
    pub max_wait: Duration,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            concurrency: 16,
            capacity: 10_000,
            body_limit: 1 << 20,
            attempts: 100,
            retry_codes: vec![408, 429, 500, 502, 503, 504],
            min_wait: Duration::from_millis(200),
            max_wait: Duration::from_secs(120),
        }
    }
}

impl Config {
    /// A configuration with OpenFaaS's defaults, on a free loopback port, without authentication.
    pub fn new(state_dir: impl Into<PathBuf>, image_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            state_dir: state_dir.into(),
            image_dir: image_dir.into(),
            basic_auth: None,
            payload_secret: None,
            environment: BTreeMap::new(),
            addresses: Vec::new(),
            nodes: Vec::new(),
            read_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            upstream_timeout: Duration::from_secs(60),
            ready_timeout: Duration::from_secs(10),
            grace_period: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(40),
            queue: QueueConfig::default(),
        }
    }
}

/// Leaves out the values of variables, which may hold passwords.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("state_dir", &self.state_dir)
            .field("image_dir", &self.image_dir)
            .field("basic_auth", &self.basic_auth)
            .field("payload_secret", &self.payload_secret)
            .field("environment", &self.environment.keys())
            .finish_non_exhaustive()
    }
}
