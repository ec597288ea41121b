//! The store that settings name.

use std::sync::Arc;

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
    let store = RedisStore::open(settings.store_url.as_str())?;
    match &settings.store_password_secret {
        Some(name) => Ok(Arc::new(store.with_password(secrets::read(name, lookup)?)?)),
        None => Ok(Arc::new(store)),
    }
}
