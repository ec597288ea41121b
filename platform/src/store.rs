//! The store that settings name.

use std::sync::Arc;
use std::time::Duration;

use sgd_lib::store::{RedisStore, Store, StoreError};

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

/// How long a function looks for its node's store before it goes without.
const PROBE: Duration = Duration::from_millis(500);

fn with_password(
    store: RedisStore,
    settings: &Settings,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<RedisStore, OpenError> {
    match &settings.store_password_secret {
        Some(name) => Ok(store.with_password(secrets::read(name, lookup)?)?),
        None => Ok(store),
    }
}
