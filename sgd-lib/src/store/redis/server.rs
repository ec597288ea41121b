//! What a Redis says about itself: for whoever looks whether it is fit to hold runs.

use std::collections::BTreeMap;

use redis::cmd;

use super::RedisStore;
use super::parse::{array, text};
use crate::store::StoreError;

impl RedisStore {
    /// The fields of `INFO`, such as `redis_version` and `aof_enabled`.
    ///
    /// # Errors
    /// It can't be reached, or this user may not ask.
    pub fn info(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let reply = text("INFO", self.call("INFO", &cmd("INFO"))?)?;
        let fields = reply.lines().filter_map(|line| line.split_once(':'));
        Ok(fields.map(|(name, value)| (name.to_owned(), value.trim_end().to_owned())).collect())
    }

    /// A parameter of its configuration, such as `appendfsync`; `None` where it has no such parameter.
    ///
    /// # Errors
    /// It can't be reached, or this user may not ask.
    pub fn parameter(&self, name: &str) -> Result<Option<String>, StoreError> {
        let reply = self.call("CONFIG GET", cmd("CONFIG").arg("GET").arg(name))?;
        array(name, reply)?.into_iter().nth(1).map(|value| text(name, value)).transpose()
    }
}
