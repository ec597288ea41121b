//! The store in this process's memory: for tests and for runs of a single function.

mod claims;
mod clock;
#[cfg(test)]
mod model;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{
    Claim, ClaimRequest, Control, Cursors, Entry, EntryId, Exchange, Exchanged, FIRST_NODE, Lease,
    PushOutcome, Replaced, RunKeys, Snapshot, Store, StoreError, Vector, Versioned, Write, snapshot::trim_to,
};

/// A store that lives and dies with the process.
#[derive(Default)]
pub struct MemoryStore {
    inner: Mutex<Inner>,
    /// Rings at each event and each entry.
    news: Condvar,
}

#[derive(Clone, Default)]
struct Inner {
    values: HashMap<String, Expiring<Versioned<Vec<u8>>>>,
    blobs: HashMap<String, Expiring<Vec<u8>>>,
    /// In the order of their registration.
    runs: Vec<String>,
    states: HashMap<String, RunState>,
}

/// What one run keeps besides typed state and blobs.
#[derive(Clone, Default)]
struct RunState {
    control: Control,
    places: HashMap<String, u32>,
    logs: BTreeMap<u32, Log>,
    leases: HashMap<u32, Expiring<String>>,
    locks: HashMap<String, Expiring<String>>,
    snapshot: Option<Snapshot>,
    readers: BTreeMap<u32, Cursors>,
    events: Vec<Vec<u8>>,
}

#[derive(Clone, Default)]
struct Log {
    last: EntryId,
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Expiring<T> {
    value: T,
    until: Option<Instant>,
}

impl<T> Expiring<T> {
    fn new(value: T, ttl: Option<Duration>) -> Self {
        Self { value, until: ttl.map(|ttl| clock::now() + ttl) }
    }

    fn alive(&self) -> Option<&T> {
        self.until.is_none_or(|until| clock::now() < until).then_some(&self.value)
    }

    /// Lives for `ttl` from now on, unless it is over.
    fn renew(&mut self, ttl: Duration) -> bool {
        let alive = self.alive().is_some();
        if alive {
            self.until = Some(clock::now() + ttl);
        }
        alive
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each method changes the maps in steps that leave them whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn state(&mut self, run: &RunKeys) -> &mut RunState {
        self.states.entry(run.prefix()).or_default()
    }

    fn exists(&self, run: &RunKeys) -> bool {
        self.values.get(&run.config()).is_some_and(|value| value.alive().is_some())
    }
}

impl RunState {
    fn push(&mut self, worker: u32, entry: &Entry) -> PushOutcome {
        let Some(log) = self.logs.get_mut(&worker) else { return PushOutcome::Gone };
        if entry.id > log.last {
            log.last = entry.id;
            log.entries.push(entry.clone());
            PushOutcome::Accepted
        } else if entry.id == log.last {
            PushOutcome::Accepted
        } else {
            PushOutcome::Fenced
        }
    }

    fn renew(&mut self, lease: &Lease) -> bool {
        let ours = match self.leases.get(&lease.worker).and_then(Expiring::alive) {
            Some(held) => *held == lease.value(),
            None => self.logs.get(&lease.worker).is_some_and(|log| log.last.token == lease.token),
        };
        if ours {
            self.leases.insert(lease.worker, Expiring::new(lease.value(), Some(lease.ttl)));
        }
        ours
    }

    /// False where the stored version is not the one before, or a stream lacks the entry that the snapshot goes
    /// up to.
    fn replace_snapshot(&mut self, snapshot: &Snapshot) -> bool {
        let stored = self.snapshot.as_ref().map_or(0, |stored| stored.version);
        if stored + 1 != snapshot.version {
            return self.snapshot.as_ref() == Some(snapshot);
        }
        let has = |stream: &u32, id| {
            self.logs.get(stream).is_some_and(|log| log.entries.iter().any(|entry| entry.id == id))
        };
        let whole =
            snapshot.vector.iter().all(|(stream, mark)| mark.id == EntryId::ZERO || has(stream, mark.id));
        if whole {
            self.snapshot = Some(snapshot.clone());
        }
        whole
    }

    /// Drops what is before a snapshot's vector and was read by these readers.
    fn trim(&mut self, vector: &Vector, readers: &BTreeMap<u32, Cursors>) {
        for (stream, id) in trim_to(vector, readers) {
            if let Some(log) = self.logs.get_mut(&stream) {
                log.entries.retain(|entry| entry.id >= id);
            }
        }
    }

    fn has_news(&self, cursors: &Cursors) -> bool {
        cursors.iter().any(|(stream, after)| self.logs.get(stream).is_some_and(|log| log.last > *after))
    }

    fn read_after(&self, worker: u32, after: EntryId, count: usize) -> Vec<Entry> {
        let entries = self.logs.get(&worker).map_or(&[][..], |log| &log.entries);
        let from = entries.partition_point(|entry| entry.id <= after);
        entries[from..].iter().take(count.max(1)).cloned().collect()
    }
}

impl Store for MemoryStore {
    fn read(&self, key: &str) -> Result<Option<Versioned<Vec<u8>>>, StoreError> {
        Ok(self.inner().values.get(key).and_then(Expiring::alive).cloned())
    }

    fn write(&self, writes: &[Write], ttl: Option<Duration>) -> Result<Option<usize>, StoreError> {
        let mut inner = self.inner();
        let version = |key| inner.values.get(key).and_then(Expiring::alive).map_or(0, |found| found.version);
        if let Some(stale) = writes.iter().position(|write| version(&write.key) != write.expected) {
            return Ok(Some(stale));
        }
        for Write { key, value, expected } in writes.iter().cloned() {
            inner.values.insert(key, Expiring::new(Versioned { value, version: expected + 1 }, ttl));
        }
        Ok(None)
    }

    fn replace_after(
        &self,
        run: &RunKeys,
        key: &str,
        [known, value]: [&[u8]; 2],
        (worker, entry): (u32, EntryId),
        ttl: Duration,
    ) -> Result<Replaced, StoreError> {
        let mut inner = self.inner();
        let has = |log: &Log| log.entries.iter().any(|there| there.id == entry);
        if !inner.state(run).logs.get(&worker).is_some_and(has) {
            return Ok(Replaced::Forgot);
        }
        let found = inner.values.get(key).and_then(Expiring::alive);
        if found.map_or(&[][..], |found| &found.value) != known {
            return Ok(Replaced::Stale);
        }
        let new = Versioned { value: value.to_vec(), version: found.map_or(0, |found| found.version) + 1 };
        inner.values.insert(key.to_owned(), Expiring::new(new, Some(ttl)));
        Ok(Replaced::Written)
    }

    fn read_blob(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.inner().blobs.get(key).and_then(Expiring::alive).cloned())
    }

    fn create_blob(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, StoreError> {
        let mut inner = self.inner();
        if inner.blobs.get(key).is_some_and(|blob| blob.alive().is_some()) {
            return Ok(false);
        }
        inner.blobs.insert(key.to_owned(), Expiring::new(value.to_vec(), Some(ttl)));
        Ok(true)
    }

    fn renew(&self, keys: &[String], ttl: Duration) -> Result<usize, StoreError> {
        let mut inner = self.inner();
        let renewed = keys.iter().filter(|key| {
            let value = inner.values.get_mut(*key).is_some_and(|value| value.renew(ttl));
            value || inner.blobs.get_mut(*key).is_some_and(|blob| blob.renew(ttl))
        });
        Ok(renewed.count())
    }

    fn now_ms(&self) -> Result<u64, StoreError> {
        Ok(clock::since_1970_ms())
    }

    fn register_run(&self, run: &RunKeys) -> Result<(), StoreError> {
        let mut inner = self.inner();
        if !inner.runs.iter().any(|name| name == run.run()) {
            inner.runs.push(run.run().to_owned());
        }
        Ok(())
    }

    fn runs(&self) -> Result<Vec<String>, StoreError> {
        let mut inner = self.inner();
        let mut runs = std::mem::take(&mut inner.runs);
        runs.retain(|name| RunKeys::new(name).is_ok_and(|run| inner.exists(&run)));
        inner.runs.clone_from(&runs);
        Ok(runs)
    }

    fn delete_run(&self, run: &RunKeys) -> Result<u64, StoreError> {
        let mut inner = self.inner();
        let prefix = run.prefix();
        let before = inner.values.len() + inner.blobs.len() + inner.states.len();
        inner.values.retain(|key, _| !key.starts_with(&prefix));
        inner.blobs.retain(|key, _| !key.starts_with(&prefix));
        inner.states.retain(|key, _| !key.starts_with(&prefix));
        if run.is_whole() {
            inner.runs.retain(|name| name != run.run());
        }
        Ok((before - inner.values.len() - inner.blobs.len() - inner.states.len()) as u64)
    }

    fn delete_log(&self, run: &RunKeys) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let carried = run.every_carried();
        inner.values.retain(|key, _| !key.starts_with(&carried));
        let state = inner.state(run);
        state.places.clear();
        state.logs.clear();
        state.leases.clear();
        state.locks.clear();
        state.readers.clear();
        state.snapshot = None;
        Ok(())
    }

    fn control(&self, run: &RunKeys) -> Result<Control, StoreError> {
        Ok(self.inner().state(run).control.clone())
    }

    fn fix_workers(&self, run: &RunKeys, workers: u32) -> Result<u32, StoreError> {
        Ok(*self.inner().state(run).control.workers.get_or_insert(workers))
    }

    fn stop(&self, run: &RunKeys, reason: &str) -> Result<String, StoreError> {
        Ok(self.inner().state(run).control.stop.get_or_insert_with(|| reason.to_owned()).clone())
    }

    fn claim(&self, run: &RunKeys, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let mut inner = self.inner();
        if !inner.exists(run) {
            return Ok(Claim::Over { reason: "there is no such run".to_owned() });
        }
        Ok(inner.state(run).claim(request))
    }

    fn streams(&self, run: &RunKeys) -> Result<u32, StoreError> {
        let workers = self.inner().state(run).logs.range(..FIRST_NODE).count();
        Ok(u32::try_from(workers).unwrap_or(u32::MAX))
    }

    fn release(&self, run: &RunKeys, lease: &Lease) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let leases = &mut inner.state(run).leases;
        if leases.get(&lease.worker).is_some_and(|held| held.value == lease.value()) {
            leases.remove(&lease.worker);
        }
        Ok(())
    }

    fn held(&self, run: &RunKeys, streams: Range<u32>) -> Result<Vec<bool>, StoreError> {
        let mut inner = self.inner();
        let state = inner.state(run);
        Ok(streams.map(|stream| state.is_held(stream)).collect())
    }

    fn exchange(&self, run: &RunKeys, wanted: &Exchange<'_>) -> Result<Exchanged, StoreError> {
        let mut inner = self.inner();
        let state = inner.state(run);
        let mut exchanged = Exchanged { lease_held: true, ..Exchanged::default() };
        if let Some(lease) = wanted.lease {
            exchanged.push = wanted.push.map(|entry| state.push(lease.worker, entry));
            exchanged.lease_held = wanted.lease_is_fresh || state.renew(lease);
        }
        state.events.extend(wanted.events.iter().cloned());
        if let Some((reader, cursors)) = wanted.reader {
            state.readers.insert(reader, cursors.clone());
        }
        self.news.notify_all();
        if let Some(cursors) = wanted.cursors {
            let nothing = |inner: &mut Inner| !inner.state(run).has_news(cursors);
            let wait = if cursors.is_empty() { Duration::ZERO } else { wanted.wait };
            (inner, _) =
                self.news.wait_timeout_while(inner, wait, nothing).unwrap_or_else(PoisonError::into_inner);
            let state = inner.state(run);
            exchanged.control = state.control.clone();
            exchanged.streams = state.logs.keys().copied().collect();
            exchanged.snapshot_version = state.snapshot.as_ref().map_or(0, |snapshot| snapshot.version);
            for (&worker, &after) in cursors {
                let entries = state.read_after(worker, after, wanted.entries_per_stream);
                if !entries.is_empty() {
                    exchanged.entries.push((worker, entries));
                }
            }
        }
        Ok(exchanged)
    }

    fn snapshot(&self, run: &RunKeys) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.inner().state(run).snapshot.clone())
    }

    fn snapshot_vector(&self, run: &RunKeys) -> Result<Option<(u64, Vector)>, StoreError> {
        let mut inner = self.inner();
        let snapshot = inner.state(run).snapshot.as_ref();
        Ok(snapshot.map(|snapshot| (snapshot.version, snapshot.vector.clone())))
    }

    fn write_snapshot(&self, run: &RunKeys, snapshot: &Snapshot, _: Instant) -> Result<bool, StoreError> {
        let mut inner = self.inner();
        let state = inner.state(run);
        let written = state.replace_snapshot(snapshot);
        if written {
            let readers = state.readers.clone();
            state.trim(&snapshot.vector, &readers);
        }
        Ok(written)
    }

    fn readers(&self, run: &RunKeys) -> Result<BTreeMap<u32, Cursors>, StoreError> {
        Ok(self.inner().state(run).readers.clone())
    }

    fn forget_reader(&self, run: &RunKeys, reader: u32) -> Result<(), StoreError> {
        self.inner().state(run).readers.remove(&reader);
        Ok(())
    }

    fn lock(&self, run: &RunKeys, name: &str, holder: &str, ttl: Duration) -> Result<bool, StoreError> {
        let mut inner = self.inner();
        let locks = &mut inner.state(run).locks;
        if let Some(held) = locks.get(name).and_then(Expiring::alive) {
            return Ok(held == holder);
        }
        locks.insert(name.to_owned(), Expiring::new(holder.to_owned(), Some(ttl)));
        Ok(true)
    }

    fn unlock(&self, run: &RunKeys, name: &str, holder: &str) -> Result<(), StoreError> {
        self.inner().state(run).locks.retain(|lock, held| lock != name || held.value != holder);
        Ok(())
    }

    fn events(
        &self,
        run: &RunKeys,
        after: &str,
        wait: Duration,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let from: usize = after.parse().map_err(|_| StoreError::Corrupt {
            key: "events".to_owned(),
            found: format!("{after:?}"),
            wanted: "the id of an event",
        })?;
        let inner = self.inner();
        let empty = |inner: &mut Inner| inner.state(run).events.len() <= from;
        let (mut inner, _) =
            self.news.wait_timeout_while(inner, wait, empty).unwrap_or_else(PoisonError::into_inner);
        let events = inner.state(run).events.iter().enumerate().skip(from);
        Ok(events.map(|(index, event)| ((index + 1).to_string(), event.clone())).collect())
    }
}
