//! What can go wrong with a store.

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The address is none.
    #[error(
        "store_url {url:?}: {reason}; wanted is redis[s]://[[user]:password@]host[:port][/db] or redis+unix:///path"
    )]
    Address {
        /// The address, without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store can't be reached, or the connection broke.
    #[error("store {address}: {reason}")]
    Unreachable {
        /// Where the store is, without credentials.
        address: String,
        /// What went wrong.
        reason: String,
    },
    /// Whoever answers can't be trusted to be the store, or nobody could listen in who should not.
    #[error("store {address}: no trusted connection: {reason}")]
    Untrusted {
        /// Where the store is, without credentials.
        address: String,
        /// What is wrong.
        reason: String,
    },
    /// The store answers, and says no.
    #[error("store {address}: {command} was refused: {reason}")]
    Refused {
        /// Where the store is, without credentials.
        address: String,
        /// What was asked.
        command: &'static str,
        /// What the store said.
        reason: String,
    },
    /// Something else stands under the key than was wanted.
    #[error("{key}: found {found}, wanted {wanted}")]
    Corrupt {
        /// The key.
        key: String,
        /// What stands there.
        found: String,
        /// What should stand there.
        wanted: &'static str,
    },
}

impl StoreError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}
