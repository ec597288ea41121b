//! Where all state lives: the trait, in Redis and in memory.
//!
//! | file | what it is about |
//! |---|---|
//! | `keys` | the names under which a run keeps its state |
//! | `entry` | what one push looks like in the parameter log |
//! | `exchange` | push and fetch in one round trip |
//! | `lease` | who trains which shard |
//! | `snapshot` | the folded log |
//! | `address` | where a store is, as it may be shown |
//! | `memory`, `redis` | the two stores |

mod address;
mod entry;
mod error;
mod exchange;
mod keys;
mod lease;
mod memory;
mod redis;
mod snapshot;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

pub use crate::state::Versioned;
pub use address::without_password;
pub use entry::{Entry, EntryId, EntryKind, Passed, Position, Progress};
pub use error::StoreError;
pub use exchange::{Control, Cursors, Exchange, Exchanged, Known, PushOutcome};
pub use keys::{FIRST_NODE, FROM_ABOVE, RunIdError, RunKeys};
pub use lease::{Claim, ClaimRequest, Lease};
pub use memory::MemoryStore;
pub use redis::RedisStore;
pub(crate) use redis::fuzzing;
pub use snapshot::{Mark, Snapshot, Vector, progress};

/// How long the keys of a run live after they were last created or written whole.
pub const RUN_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// One of the writes that [`Store::write`] makes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where to write.
    pub key: String,
    /// What to write.
    pub value: Vec<u8>,
    /// The version that the key must be at; 0: it does not exist.
    pub expected: u64,
}

/// What became of a [`Store::replace_after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It stands there.
    Written,
    /// Something else stands there.
    Stale,
    /// The entry is not there.
    Forgot,
}

/// A place for state that many workers share. Calls block; every method may be called from any
/// thread, and may be repeated: a call whose answer was lost has no second effect.
///
/// Every method fails with a [`StoreError`] when the store can't be reached, refuses the command,
/// or holds something else under the key.
pub trait Store: Send + Sync {
    /// The bytes under `key` and their version; `None` where nothing stands.
    fn read(&self, key: &str) -> Result<Option<Versioned<Vec<u8>>>, StoreError>;

    /// Makes all of `writes`, each to a key of its own, or none of them; a version grows by one.
    /// Returns `None` where they were made, or the index of the first whose key is not at its expected
    /// version. The keys must be in one Redis Cluster slot.
    fn write(&self, writes: &[Write], ttl: Option<Duration>) -> Result<Option<usize>, StoreError>;

    /// Writes the second of `values` where the first stands (empty: nothing), and the run's stream of a worker has this
    /// very entry, from which the change follows. A store that was restarted may have lost that, and may count the
    /// versions that it has lost anew: so it is the value that has to be the same.
    fn replace_after(
        &self,
        run: &RunKeys,
        key: &str,
        values: [&[u8]; 2],
        entry: (u32, EntryId),
        ttl: Duration,
    ) -> Result<Replaced, StoreError>;

    /// The blob under `key`.
    fn read_blob(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Writes a blob unless there is one. Returns whether it was written.
    fn create_blob(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, StoreError>;

    /// Lets these keys, typed state or blobs, live for `ttl` from now on. Returns how many of them exist.
    fn renew(&self, keys: &[String], ttl: Duration) -> Result<usize, StoreError>;

    /// The store's clock, milliseconds since 1970: the only one that leases and records go by.
    fn now_ms(&self) -> Result<u64, StoreError>;

    /// Adds a run to the index of runs, at the store's time.
    fn register_run(&self, run: &RunKeys) -> Result<(), StoreError>;

    /// Names of the runs whose configuration still exists, oldest first.
    fn runs(&self) -> Result<Vec<String>, StoreError>;

    /// Deletes everything that a run left. Returns the number of keys.
    fn delete_run(&self, run: &RunKeys) -> Result<u64, StoreError>;

    /// Deletes what only a running run needs: logs, snapshot, leases.
    fn delete_log(&self, run: &RunKeys) -> Result<(), StoreError>;

    /// The run's control record.
    fn control(&self, run: &RunKeys) -> Result<Control, StoreError>;

    /// Sets the number of workers, once: returns the number that stands.
    fn fix_workers(&self, run: &RunKeys, workers: u32) -> Result<u32, StoreError>;

    /// Sets the stop flag, once: returns the reason that stands.
    fn stop(&self, run: &RunKeys, reason: &str) -> Result<String, StoreError>;

    /// Takes the lease of a worker and fences its stream, in one step.
    fn claim(&self, run: &RunKeys, request: &ClaimRequest) -> Result<Claim, StoreError>;

    /// How many workers ever took a lease.
    fn streams(&self, run: &RunKeys) -> Result<u32, StoreError>;

    /// Gives a lease back, if it still is ours.
    fn release(&self, run: &RunKeys, lease: &Lease) -> Result<(), StoreError>;

    /// For each of `streams`, whether somebody holds its lease.
    fn held(&self, run: &RunKeys, streams: Range<u32>) -> Result<Vec<bool>, StoreError>;

    /// Push, fetch, renewal and events in one round trip.
    fn exchange(&self, run: &RunKeys, exchange: &Exchange<'_>) -> Result<Exchanged, StoreError>;

    /// The newest snapshot.
    fn snapshot(&self, run: &RunKeys) -> Result<Option<Snapshot>, StoreError>;

    /// The newest snapshot's version and vector, without its parameters.
    fn snapshot_vector(&self, run: &RunKeys) -> Result<Option<(u64, Vector)>, StoreError>;

    /// Replaces the snapshot of version `snapshot.version - 1` and trims what the new one covers and
    /// every registered reader has read.
    /// Returns false, and does nothing, where another version stands, or where the store has lost entries that
    /// are in the snapshot. All of those were read or written since `since`.
    fn write_snapshot(&self, run: &RunKeys, snapshot: &Snapshot, since: Instant) -> Result<bool, StoreError>;

    /// The readers that must see every entry, by their number, and how far each has read: one without a
    /// cursor for a stream has read nothing of it. [`Exchange::reader`] registers one.
    fn readers(&self, run: &RunKeys) -> Result<BTreeMap<u32, Cursors>, StoreError>;

    /// Entries need not be kept for this reader any more.
    fn forget_reader(&self, run: &RunKeys, reader: u32) -> Result<(), StoreError>;

    /// Takes a lock that expires by itself. Returns whether it is `holder`'s now.
    fn lock(&self, run: &RunKeys, name: &str, holder: &str, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives a lock back, if it still is `holder`'s.
    fn unlock(&self, run: &RunKeys, name: &str, holder: &str) -> Result<(), StoreError>;

    /// Events after the one with the id `after` (`0` for all), waiting up to `wait` for the first.
    fn events(
        &self,
        run: &RunKeys,
        after: &str,
        wait: Duration,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
}
