//! Where all state lives: the trait, in Redis and in memory.

use std::time::Duration;

pub use crate::state::Versioned;

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The store can't be reached, or the connection broke.
    #[error("store {address}: {reason}")]
    Unreachable {
        /// Where the store is, without credentials.
        address: String,
        /// What went wrong.
        reason: String,
    },
}

/// A place for state that many workers share. Calls block; every method may be called from any thread.
pub trait Store: Send + Sync {
    /// The bytes under `key` and their version; `None` where nothing stands.
    ///
    /// # Errors
    /// The store can't be reached.
    fn read(&self, key: &str) -> Result<Option<Versioned<Vec<u8>>>, StoreError>;

    /// Writes `value` if `key` is at version `expected` (0: does not exist). Returns the new version,
    /// or `None` where somebody else wrote in between.
    ///
    /// # Errors
    /// The store can't be reached.
    fn write(
        &self,
        key: &str,
        value: &[u8],
        expected: u64,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>, StoreError>;
}
