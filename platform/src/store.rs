//! The store that settings name.

use std::sync::Arc;
use std::time::Duration;

use sgd_lib::store::{RUN_TTL, RedisStore, Store, StoreError};

use crate::secrets::{self, SecretError};
use crate::settings::Settings;

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Its address is none.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its password can't be read.
    #[error("store_password_secret: {0}")]
    Secret(#[from] SecretError),
}

/// Opens the store; nothing is connected before the first call.
///
/// # Errors
/// Its address is none, or the secret with its password can't be read.
pub fn open(
    settings: &Settings,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(with_password(RedisStore::open(settings.store_url.as_str())?, settings, lookup)?))
}

/// The same, for a function: it goes on without the store for a while, until that is there again.
///
/// # Errors
/// As there.
pub fn open_patiently(
    settings: &Settings,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Store>, OpenError> {
    let store = RedisStore::open(settings.store_url.as_str())?.with_patience(OUTAGE);
    Ok(Arc::new(with_password(store, settings, lookup)?))
}

/// The store of this node, if one answers; else why not.
///
/// # Errors
/// Its address is none, or the secret with its password can't be read.
pub fn open_local(
    settings: &Settings,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Result<Arc<dyn Store>, StoreError>, OpenError> {
    let open = || RedisStore::open(settings.local_store_url.as_str());
    let probe = with_password(open()?.with_patience(PROBE), settings, &lookup)?;
    match probe.now_ms() {
        Ok(_) => Ok(Ok(Arc::new(with_password(open()?, settings, lookup)?))),
        Err(error) => Ok(Err(error)),
    }
}

/// The name of the node that `store` is on, the same for all who use that store. Kubernetes tells a pod
/// nothing of its node unless a manifest says so, and OpenFaaS' do not: the name is that which the first
/// pod had for it, `own`.
///
/// # Errors
/// The store fails.
pub fn node_name(store: &dyn Store, own: &str) -> Result<String, StoreError> {
    store.create_blob(NODE, own.as_bytes(), RUN_TTL)?;
    let name = store.read_blob(NODE)?.and_then(|name| String::from_utf8(name).ok());
    Ok(name.unwrap_or_else(|| own.to_owned()))
}

/// Where a node's store has the node's name.
const NODE: &str = "dp:node";
/// How long a worker waits for a store that can't be reached: a pod of Redis is started anew and loads its log
/// meanwhile.
const OUTAGE: Duration = Duration::from_secs(30);
/// How long a function looks for its node's store before it goes without.
const PROBE: Duration = Duration::from_millis(500);

fn with_password(
    store: RedisStore,
    settings: &Settings,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<RedisStore, OpenError> {
    match &settings.store_password_secret {
        Some(name) => Ok(store.with_password(secrets::read(name, lookup)?)),
        None => Ok(store),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sgd_lib::store::MemoryStore;

    #[test]
    fn all_pods_on_a_node_have_one_name_for_it() {
        let (here, there) = (MemoryStore::new(), MemoryStore::new());
        assert_eq!(node_name(&here, "pod-1").unwrap(), "pod-1");
        assert_eq!(node_name(&here, "pod-2").unwrap(), "pod-1");
        assert_eq!(node_name(&there, "pod-3").unwrap(), "pod-3");
    }
}
