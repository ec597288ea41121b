//! A process' way to its stores, which breaks after a number of calls: from then on it is dead to them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::state::Versioned;
use crate::store::{
    Claim, ClaimRequest, Control, Cursors, EntryId, Exchange, Exchanged, Lease, Replaced, RunKeys, Snapshot,
    Store, StoreError, Vector, Write,
};

/// Calls that are left, to all stores of one process.
#[derive(Clone)]
pub(in crate::downpour) struct Fuse(Arc<AtomicI64>);

impl Fuse {
    pub(in crate::downpour) fn new(calls: i64) -> Self {
        Self(Arc::new(AtomicI64::new(calls)))
    }

    pub(in crate::downpour) fn blow(&self) {
        self.set(0);
    }

    /// So many calls are left from now on.
    pub(in crate::downpour) fn set(&self, calls: i64) {
        self.0.store(calls, Ordering::Relaxed);
    }

    pub(in crate::downpour) fn is_blown(&self) -> bool {
        self.0.load(Ordering::Relaxed) <= 0
    }
}

/// A store behind a fuse.
pub(in crate::downpour) struct Fused {
    pub(in crate::downpour) store: Arc<dyn Store>,
    pub(in crate::downpour) fuse: Fuse,
}

impl Fused {
    fn call<T>(&self, call: impl FnOnce(&dyn Store) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let left = self.fuse.0.fetch_sub(1, Ordering::Relaxed);
        let dead = || StoreError::Unreachable { address: "test".into(), reason: "the process died".into() };
        match left {
            ..=0 => Err(dead()),
            // The last call may arrive although nobody hears of it.
            1 => {
                if rand::random() {
                    call(&*self.store)?;
                }
                Err(dead())
            }
            _ => call(&*self.store),
        }
    }
}

macro_rules! fused {
    ($(fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;)+) => {
        impl Store for Fused {$(
            fn $name(&self $(, $argument: $type)*) -> Result<$result, StoreError> {
                self.call(|store| store.$name($($argument),*))
            }
        )+}
    };
}

fused! {
    fn read(&self, key: &str) -> Option<Versioned<Vec<u8>>>;
    fn write(&self, writes: &[Write], ttl: Option<Duration>) -> Option<usize>;
    fn replace_after(&self, run: &RunKeys, key: &str, values: [&[u8]; 2], entry: (u32, EntryId), ttl: Duration) -> Replaced;
    fn read_blob(&self, key: &str) -> Option<Vec<u8>>;
    fn create_blob(&self, key: &str, value: &[u8], ttl: Duration) -> bool;
    fn renew(&self, keys: &[String], ttl: Duration) -> usize;
    fn now_ms(&self) -> u64;
    fn register_run(&self, run: &RunKeys) -> ();
    fn runs(&self) -> Vec<String>;
    fn delete_run(&self, run: &RunKeys) -> u64;
    fn delete_log(&self, run: &RunKeys) -> ();
    fn control(&self, run: &RunKeys) -> Control;
    fn fix_workers(&self, run: &RunKeys, workers: u32) -> u32;
    fn stop(&self, run: &RunKeys, reason: &str) -> String;
    fn claim(&self, run: &RunKeys, request: &ClaimRequest) -> Claim;
    fn streams(&self, run: &RunKeys) -> u32;
    fn release(&self, run: &RunKeys, lease: &Lease) -> ();
    fn held(&self, run: &RunKeys, streams: Range<u32>) -> Vec<bool>;
    fn exchange(&self, run: &RunKeys, exchange: &Exchange<'_>) -> Exchanged;
    fn snapshot(&self, run: &RunKeys) -> Option<Snapshot>;
    fn snapshot_vector(&self, run: &RunKeys) -> Option<(u64, Vector)>;
    fn write_snapshot(&self, run: &RunKeys, snapshot: &Snapshot, since: Instant) -> bool;
    fn readers(&self, run: &RunKeys) -> BTreeMap<u32, Cursors>;
    fn forget_reader(&self, run: &RunKeys, reader: u32) -> ();
    fn lock(&self, run: &RunKeys, name: &str, holder: &str, ttl: Duration) -> bool;
    fn unlock(&self, run: &RunKeys, name: &str, holder: &str) -> ();
    fn events(&self, run: &RunKeys, after: &str, wait: Duration) -> Vec<(String, Vec<u8>)>;
}
