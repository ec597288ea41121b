//! What a model checker does to a store besides what workers do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Instant;

use super::{MemoryStore, clock};
use crate::store::{Cursors, Entry, EntryId, RunKeys, Snapshot, StoreError, Vector};

impl MemoryStore {
    /// Does `work` while the store's clock stands at `ms`; leases and locks end by [`MemoryStore::expire`] alone.
    pub(crate) fn at<T>(ms: u64, work: impl FnOnce() -> T) -> T {
        static BEGUN: OnceLock<Instant> = OnceLock::new();
        clock::stand_still(*BEGUN.get_or_init(Instant::now), ms, work)
    }

    /// Another store that holds the same.
    pub(crate) fn fork(&self) -> Self {
        Self { inner: self.inner().clone().into(), news: Default::default() }
    }

    /// Ends the lease of a worker.
    pub(crate) fn expire(&self, run: &RunKeys, worker: u32) {
        self.inner().state(run).leases.remove(&worker);
    }

    /// Ends all locks.
    pub(crate) fn unlock_all(&self, run: &RunKeys) {
        self.inner().state(run).locks.clear();
    }

    /// Whether anybody has a lock.
    pub(crate) fn is_locked(&self, run: &RunKeys) -> bool {
        !self.inner().state(run).locks.is_empty()
    }

    /// The last entry of a stream, trimmed or not.
    pub(crate) fn last(&self, run: &RunKeys, stream: u32) -> EntryId {
        self.inner().state(run).logs.get(&stream).map_or(EntryId::ZERO, |log| log.last)
    }

    /// The entries of each stream.
    pub(crate) fn entries(&self, run: &RunKeys) -> BTreeMap<u32, Vec<Entry>> {
        let mut inner = self.inner();
        inner.state(run).logs.iter().map(|(stream, log)| (*stream, log.entries.clone())).collect()
    }

    /// Whether it has all that was `known`: what a worker asks a Redis on a new connection.
    pub(crate) fn has(&self, run: &RunKeys, known: &Cursors) -> Result<(), StoreError> {
        for (stream, known) in known {
            let found = self.last(run, *stream);
            if found < *known {
                let (address, key) = ("model".to_owned(), run.log(*stream));
                let (found, known) = (found.to_string(), known.to_string());
                return Err(StoreError::Forgot { address, key, found, known });
            }
        }
        Ok(())
    }

    /// The first of the steps that a Redis makes of [`write_snapshot`](crate::store::Store::write_snapshot).
    pub(crate) fn replace_snapshot(&self, run: &RunKeys, snapshot: &Snapshot) -> bool {
        self.inner().state(run).replace_snapshot(snapshot)
    }

    /// The last of them.
    pub(crate) fn trim(&self, run: &RunKeys, vector: &Vector, readers: &BTreeMap<u32, Cursors>) {
        self.inner().state(run).trim(vector, readers);
    }

    /// All that anybody may find in it, as text: what entries had seen is nothing that anybody goes by.
    pub(crate) fn contents(&self, run: &RunKeys) -> String {
        let mut inner = self.inner();
        let state = inner.state(run);
        let mut text = String::new();
        for (stream, log) in &state.logs {
            let lease = state.leases.get(stream).map(|lease| &lease.value);
            let _ = write!(text, "{stream} {lease:?} {}", log.last);
            for entry in &log.entries {
                let Entry { id, prev, kind, progress, payload, .. } = entry;
                let _ = write!(text, "[{id} {prev} {kind:?} {progress:?} {payload:?}]");
            }
        }
        let mut locks: Vec<_> = state.locks.iter().map(|(name, lock)| (name, &lock.value)).collect();
        locks.sort();
        let _ =
            write!(text, "{locks:?} {:?} {:?} {:?}", state.snapshot, state.readers, state.control.workers);
        text
    }
}
