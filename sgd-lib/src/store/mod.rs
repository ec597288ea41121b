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

/// One of the writes that [`Store::write_all`] makes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where to write.
    pub key: String,
    /// What to write.
    pub value: Vec<u8>,
    /// The version that the key must be at; 0: it does not exist.
    pub expected: u64,
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

    /// Makes all of `writes`, each to a key of its own, or none of them. Returns `None` where they were made,
    /// or the index of the first whose key is not at its expected version. The keys must be in one Redis
    /// Cluster slot.
    ///
    /// # Errors
    /// The store can't be reached.
    fn write_all(&self, writes: &[Write], ttl: Option<Duration>) -> Result<Option<usize>, StoreError>;
}
