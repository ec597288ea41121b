//! A worker's end as one of many that may come of the same one.

use std::sync::Arc;
use std::time::Instant;

use super::FarEnd;
use crate::store::Store;

impl FarEnd {
    /// The same worker's end, of this store.
    pub(in crate::downpour::link) fn fork(&self, store: Arc<dyn Store>) -> Self {
        assert!(self.global.is_none(), "a worker whose log is in the global store");
        Self {
            store,
            run: self.run.clone(),
            lease: self.lease.clone(),
            rows: self.rows.clone(),
            folded: self.folded.clone(),
            read: self.read.clone(),
            held: self.held.clone(),
            // As if its time had come, and nobody's to be looked at.
            renewed: None,
            watched: Instant::now(),
            global: None,
            recent: self.recent.clone(),
            ..*self
        }
    }

    /// All that it goes by, as text.
    pub(in crate::downpour::link) fn contents(&self) -> String {
        let Self { lease, folded, read, held, snapshot_version, log_bytes, recent, .. } = self;
        format!("{lease:?}{folded:?}{read:?}{held:?}{snapshot_version} {log_bytes} {recent:?}")
    }
}
