//! Private servers to measure with.

use std::sync::Arc;

use anyhow::Result;
use local_redis::{LocalRedis, Options, Transport};
use sgd_lib::store::RedisStore;

/// A server in a temporary folder, until it is dropped.
pub(crate) struct Server {
    redis: LocalRedis,
    /// In it.
    pub(crate) store: Arc<RedisStore>,
}

impl Server {
    /// Starts one; `append_only`: it writes an append-only file, synced every second, as the platform's does.
    ///
    /// # Errors
    /// It does not come up.
    pub(crate) fn start(transport: Transport, append_only: bool) -> Result<Self> {
        let redis = LocalRedis::start(Options { transport, append_only, ..Options::default() })?;
        let store = Arc::new(RedisStore::open(redis.url())?);
        Ok(Self { redis, store })
    }

    /// Its address.
    pub(crate) fn url(&self) -> &str {
        self.redis.url()
    }

    /// Kills it, as a crash would.
    ///
    /// # Errors
    /// It can't be waited for.
    pub(crate) fn kill(&mut self) -> Result<()> {
        Ok(self.redis.kill()?)
    }

    /// Starts it again, with its data and at its address.
    ///
    /// # Errors
    /// It does not come up.
    pub(crate) fn restart(&mut self) -> Result<()> {
        Ok(self.redis.restart()?)
    }
}
