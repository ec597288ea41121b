//! The private Redis of the local platform.

use std::path::Path;

use anyhow::Result;
use local_redis::{LocalRedis, Options, Transport};
use tokio::task::spawn_blocking;

/// Where `stack.yml` says that functions in a cluster find Redis; replicas here get this machine's.
pub(crate) const CLUSTER_ADDRESS: &str = "redis://redis.openfaas-fn:6379";

/// Starts the Redis that keeps its data in `dir`.
pub(crate) async fn start(dir: &Path) -> Result<LocalRedis> {
    let options = Options { transport: Transport::UnixSocket, ..Options::in_dir(dir) };
    Ok(spawn_blocking(move || LocalRedis::start(options)).await??)
}

/// Starts one whose data end with it; its socket and log are in `dir`.
pub(crate) async fn start_volatile(dir: &Path) -> Result<LocalRedis> {
    let options = Options { transport: Transport::UnixSocket, append_only: false, ..Options::in_dir(dir) };
    Ok(spawn_blocking(move || LocalRedis::start(options)).await??)
}

/// Stops it once it has written out its data.
pub(crate) async fn stop(redis: LocalRedis) -> Result<()> {
    Ok(spawn_blocking(move || redis.stop()).await??)
}
