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
    /// A secret for it can't be read.
    #[error("{setting}: {source}")]
    Secret {
        /// The setting that names the secret.
        setting: &'static str,
        /// Why.
        source: SecretError,
    },
}

/// Opens the store; nothing is connected before the first call.
///
/// # Errors
/// Its address is none, or a secret with its password or its authorities can't be read or used.
pub fn open(
    settings: &Settings,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(with_secrets(settings, lookup)?))
}

/// The same, for a function: it goes on without the store for a while, until that is there again.
///
/// # Errors
/// As there.
pub fn open_patiently(
    settings: &Settings,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(with_secrets(settings, lookup)?.with_patience(OUTAGE)))
}

fn with_secrets(
    settings: &Settings,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<RedisStore, OpenError> {
    let store = with_password(RedisStore::open(settings.store_url.as_str())?, settings, &lookup)?;
    with_authorities(store, settings, lookup)
}

/// The store of this node, if one answers; else why not.
///
/// # Errors
/// Its address is none, or a secret with its password or its authorities can't be read or used.
pub fn open_local(
    settings: &Settings,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Result<Arc<dyn Store>, StoreError>, OpenError> {
    let open = || {
        let store = with_password(RedisStore::open(settings.local_store_url.as_str())?, settings, &lookup)?;
        // Within a node there may be no need for TLS.
        if store.is_encrypted() { with_authorities(store, settings, &lookup) } else { Ok(store) }
    };
    match open()?.with_patience(PROBE).now_ms() {
        Ok(_) => Ok(Ok(Arc::new(open()?))),
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
    let Some(name) = &settings.store_password_secret else { return Ok(store) };
    let failed = |source| OpenError::Secret { setting: "store_password_secret", source };
    Ok(store.with_password(secrets::read(name, lookup).map_err(failed)?))
}

fn with_authorities(
    store: RedisStore,
    settings: &Settings,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<RedisStore, OpenError> {
    let Some(name) = &settings.store_ca_secret else { return Ok(store) };
    let failed = |source| OpenError::Secret { setting: "store_ca_secret", source };
    let certificates = secrets::read(name, lookup).map_err(failed)?;
    Ok(store.with_authorities(&format!("the secret {name}"), certificates.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sgd_lib::store::MemoryStore;

    #[test]
    fn authorities_that_are_missing_or_for_no_tls_are_an_error() {
        let open = |url: &str| {
            let settings = Settings::from_environment(|name| match name {
                "store_url" => Some(url.to_owned()),
                "store_ca_secret" => Some("redis-ca".to_owned()),
                _ => None,
            });
            let lookup = |name: &str| (name == "secret_mount_path").then(|| "/nowhere".to_owned());
            open(&settings.unwrap(), lookup).err().unwrap().to_string()
        };
        let error = open("rediss://h");
        assert_eq!(error, "store_ca_secret: /nowhere/redis-ca: No such file or directory (os error 2)");
    }

    #[test]
    fn all_pods_on_a_node_have_one_name_for_it() {
        let (here, there) = (MemoryStore::new(), MemoryStore::new());
        assert_eq!(node_name(&here, "pod-1").unwrap(), "pod-1");
        assert_eq!(node_name(&here, "pod-2").unwrap(), "pod-1");
        assert_eq!(node_name(&there, "pod-3").unwrap(), "pod-3");
    }
}
