//! Where a private server keeps its files and how it is reached.

use std::path::PathBuf;

/// How clients reach the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// TCP on a free port of 127.0.0.1.
    #[default]
    Tcp,
    /// A Unix socket in the server's folder, which spares a good part of every round trip.
    /// Falls back to [`Transport::Tcp`] where the folder's path is too long for one.
    UnixSocket,
    /// TLS on a free port of `localhost`. In the folder is a Unix socket, too, for whoever started the server.
    Tls {
        /// The file with the server's certificate and those of the authorities between it and a root, PEM.
        certificate: PathBuf,
        /// The file with its private key, PEM.
        key: PathBuf,
    },
}

/// What [`LocalRedis::start`](crate::LocalRedis::start) starts. The default suits tests: a temporary
/// folder of its own and a free port.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of configuration, data, log, socket and locks; created where missing, and usable
    /// by one server at a time. `None` is a temporary folder, removed when the server is dropped.
    pub dir: Option<PathBuf>,
    /// How clients reach the server.
    pub transport: Transport,
    /// Whether writes survive the server: an append-only file, flushed to disk every second and
    /// written before each answer, so that killing the server loses nothing.
    pub append_only: bool,
    /// Further lines for `redis.conf`, such as `maxmemory 100mb`. A password can't be set here.
    pub config: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { dir: None, transport: Transport::Tcp, append_only: true, config: Vec::new() }
    }
}

impl Options {
    /// The default, in a folder that stays.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Self { dir: Some(dir.into()), ..Self::default() }
    }
}
