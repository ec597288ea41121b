//! Reading the parameter log without missing anything.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::codec::{self, CodecError};
use crate::state::StateError;
use crate::store::{
    Cursors, Entry, EntryId, EntryKind, Exchange, FIRST_NODE, Mark, Position, Progress, RunKeys, Snapshot,
    Store, StoreError, Vector, progress,
};

/// Why the parameter log can't be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A typed value is none.
    #[error(transparent)]
    State(#[from] StateError),
    /// A payload is none.
    #[error("a payload in the store: {0}")]
    Codec(#[from] CodecError),
    /// There are no parameters.
    #[error(
        "run {run}: no snapshot of the parameters is stored; was the run deleted, or has the store lost its data?"
    )]
    NoSnapshot {
        /// The run.
        run: String,
    },
    /// The model is none.
    #[error("{key}: {bytes} bytes that are no model")]
    NoModel {
        /// The key.
        key: String,
        /// How many bytes stand there.
        bytes: usize,
    },
    /// The store was restarted without its last writes.
    #[error("run {run}: the store was restarted without {what} that this worker has gone by")]
    Forgot {
        /// The run.
        run: String,
        /// What is missing.
        what: &'static str,
    },
    /// Nobody knows before who does which minibatch.
    #[error("run {run}: its workers come and go, so its minibatches are not divided among them beforehand")]
    Undivided {
        /// The run.
        run: String,
    },
    /// The log was trimmed faster than it could be read.
    #[error("run {run}: the log was trimmed {tries} times while it was read")]
    Trimmed {
        /// The run.
        run: String,
        /// How often.
        tries: u32,
    },
}

impl LogError {
    /// Whether the store was restarted without something that was read or written: who goes on has to begin
    /// with what the store has.
    pub fn is_forgotten(&self) -> bool {
        matches!(self, Self::Forgot { .. } | Self::Store(StoreError::Forgot { .. }))
    }
}

/// An entry that does not follow the cursor: something in between was trimmed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap;

/// What of a log to fold.
#[derive(Clone, Copy)]
pub(super) enum Until<'a> {
    /// Everything.
    End,
    /// What is in the snapshot, and what this worker pushed since.
    Own(u32),
    /// All that this worker pushed and, of the others', what lies up to where they have to stand before
    /// it goes on from where it stands; `None`: everything.
    Stand(u32, &'a dyn Fn(Position) -> Option<Vec<Position>>),
}

/// The bytes that one read of a stream may bring into memory, about.
const READ_BYTES: usize = 4 << 20;
/// The lock of whoever writes a snapshot: nobody else does meanwhile.
pub(super) const SNAPSHOT: &str = "snapshot";
const SNAPSHOT_LOCK: Duration = Duration::from_secs(10);
/// A snapshot is due when this many times its own size was pushed since the last one…
const LOG_PER_SNAPSHOT: u64 = 32;
/// …and at least this many bytes.
const LEAST_LOG: u64 = 4 << 20;
/// Rebuilding from a newer snapshot more often than this in one read means that something is wrong.
const MAX_REBUILDS: u32 = 100;

/// The parameters with everything folded in up to a vector: initial parameters + each entry once.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The parameters, in the architecture's flat layout.
    pub parameters: Vec<f32>,
    /// The last entry of each stream that is in them.
    pub vector: Vector,
    /// The snapshot that this started from.
    pub snapshot_version: u64,
    /// Bytes of the payloads that were read after it.
    pub log_bytes: u64,
    /// All of it was read since then.
    pub since: Instant,
}

impl Folded {
    /// Loads the newest snapshot and everything after it, in stream and ID order.
    ///
    /// # Errors
    /// The store fails, has no snapshot, or holds something that does not decode.
    pub fn load(store: &dyn Store, run: &RunKeys, rows: &[(usize, usize)]) -> Result<Self, LogError> {
        Self::load_until(store, run, rows, Until::End)
    }

    /// The same, but for what lies beyond `until`.
    pub(super) fn load_until(
        store: &dyn Store,
        run: &RunKeys,
        rows: &[(usize, usize)],
        until: Until<'_>,
    ) -> Result<Self, LogError> {
        for _ in 0..MAX_REBUILDS {
            let mut folded = Self::from_snapshot(store, run, rows)?;
            if folded.follow(store, run, rows, until)? == Ok(()) {
                return Ok(folded);
            }
        }
        Err(LogError::Trimmed { run: run.run().to_owned(), tries: MAX_REBUILDS })
    }

    /// Where a worker stands.
    pub(super) fn progress(&self, worker: u32) -> Progress {
        progress(&self.vector, worker)
    }

    fn follow(
        &mut self,
        store: &dyn Store,
        run: &RunKeys,
        rows: &[(usize, usize)],
        until: Until<'_>,
    ) -> Result<Result<(), Gap>, LogError> {
        let (worker, awaited) = match until {
            Until::End => return self.catch_up(store, run, rows, None, None),
            Until::Own(worker) => return self.catch_up(store, run, rows, Some(worker), None),
            Until::Stand(worker, awaited) => (worker, awaited),
        };
        // The worker's own stream says where it stands, and that says what to leave of the others'.
        if self.catch_up(store, run, rows, Some(worker), None)? == Err(Gap) {
            return Ok(Err(Gap));
        }
        let mut at = self.progress(worker).at;
        if self.vector.keys().any(|stream| *stream >= FIRST_NODE) {
            // What it pushed to a node's store is in a synchronizer's stream.
            at = at.max(Self::load(store, run, rows)?.progress(worker).at);
        }
        let awaited = awaited(at);
        self.catch_up(store, run, rows, None, awaited.as_deref())
    }

    /// The newest snapshot alone.
    pub(super) fn from_snapshot(
        store: &dyn Store,
        run: &RunKeys,
        rows: &[(usize, usize)],
    ) -> Result<Self, LogError> {
        let since = Instant::now();
        let none = || LogError::NoSnapshot { run: run.run().to_owned() };
        let snapshot = store.snapshot(run)?.ok_or_else(none)?;
        let count = rows.iter().map(|(rows, length)| rows * length).sum();
        let parameters = codec::blob::unpack(&snapshot.parameters, count)?;
        let (vector, snapshot_version) = (snapshot.vector, snapshot.version);
        Ok(Self { parameters, vector, snapshot_version, log_bytes: 0, since })
    }

    /// Reads each stream to its end: the stream `only`, or all, but for what lies beyond `until`. What comes
    /// into a stream after its end was there is left, or where others push quickly reading might never end.
    /// `Err(Gap)`: start again from the snapshot.
    fn catch_up(
        &mut self,
        store: &dyn Store,
        run: &RunKeys,
        rows: &[(usize, usize)],
        only: Option<u32>,
        until: Option<&[Position]>,
    ) -> Result<Result<(), Gap>, LogError> {
        let (mut ended, mut unread) = (BTreeSet::new(), cursors(&self.vector, None));
        loop {
            unread.retain(|worker, _| only.is_none_or(|only| only == *worker) && !ended.contains(worker));
            for cursors in parts(unread, rows) {
                match self.read_on(store, run, rows, &cursors, until)? {
                    Ok(at_their_end) => ended.extend(at_their_end),
                    Err(Gap) => return Ok(Err(Gap)),
                }
            }
            // Reading also tells of streams that were not known.
            unread = cursors(&self.vector, None);
            if unread.keys().all(|worker| ended.contains(worker) || only.is_some_and(|only| only != *worker))
            {
                return Ok(Ok(()));
            }
        }
    }

    /// Reads on from these cursors, once. Returns the streams that were read to their end.
    fn read_on(
        &mut self,
        store: &dyn Store,
        run: &RunKeys,
        rows: &[(usize, usize)],
        cursors: &Cursors,
        until: Option<&[Position]>,
    ) -> Result<Result<BTreeSet<u32>, Gap>, LogError> {
        let entries_per_stream = entries_per_read(rows, cursors.len());
        let fetch = Exchange { cursors: Some(cursors), entries_per_stream, ..Exchange::default() };
        let fetched = store.exchange(run, &fetch)?;
        add_streams(&mut self.vector, &fetched.streams);
        let mut ended: BTreeSet<u32> = cursors.keys().copied().collect();
        for (worker, entries) in &fetched.entries {
            let mut taken = 0;
            for entry in entries.iter().take_while(|entry| !is_beyond(*worker, entry, until)) {
                if advance(&mut self.vector, *worker, entry) == Err(Gap) {
                    return Ok(Err(Gap));
                }
                taken += 1;
                if entry.kind != EntryKind::Fence {
                    codec::decode_add(&entry.payload, rows, &mut self.parameters)?;
                    self.log_bytes += entry.payload.len() as u64;
                }
            }
            if taken >= entries_per_stream {
                ended.remove(worker);
            }
        }
        Ok(Ok(ended))
    }

    /// Writes this as the next snapshot: see [`write_snapshot`].
    pub(super) fn write(
        &self,
        store: &dyn Store,
        run: &RunKeys,
        holder: &str,
    ) -> Result<Option<u64>, LogError> {
        write_snapshot(store, run, holder, &self.vector, &self.parameters, self.since)
    }

    /// This as the snapshot after the one of version `version`.
    pub fn to_snapshot(&self, version: u64) -> Snapshot {
        Snapshot {
            version: version + 1,
            vector: self.vector.clone(),
            parameters: codec::blob::pack(&self.parameters),
        }
    }
}

/// Bytes of pushes since the last snapshot at which another is due, for parameters of these rows.
pub(super) fn bound(rows: &[(usize, usize)]) -> u64 {
    let parameters: usize = rows.iter().map(|(rows, length)| rows * length).sum();
    (parameters as u64 * 4 * LOG_PER_SNAPSHOT).max(LEAST_LOG)
}

/// Writes `parameters`, everything up to `vector`, all of which was read or written since `since`, as the next
/// snapshot, unless somebody else is at it, or the stored one has entries that these lack. Returns the version
/// that was written.
pub(super) fn write_snapshot(
    store: &dyn Store,
    run: &RunKeys,
    holder: &str,
    vector: &Vector,
    parameters: &[f32],
    since: Instant,
) -> Result<Option<u64>, LogError> {
    if !store.lock(run, SNAPSHOT, holder, SNAPSHOT_LOCK)? {
        return Ok(None);
    }
    let ahead = |stream: &u32, mark: &Mark| vector.get(stream).is_some_and(|own| own.id >= mark.id);
    let mut written = None;
    // A run without a snapshot was deleted.
    if let Some((version, stored)) = store.snapshot_vector(run)?
        && stored.iter().all(|(stream, mark)| ahead(stream, mark))
    {
        let snapshot = Snapshot {
            version: version + 1,
            vector: vector.clone(),
            parameters: codec::blob::pack(parameters),
        };
        if store.write_snapshot(run, &snapshot, since)? {
            written = Some(snapshot.version);
        }
    }
    store.unlock(run, SNAPSHOT, holder)?;
    Ok(written)
}

/// Where to read on in each stream, `except` one's own.
pub(super) fn cursors(vector: &Vector, except: Option<u32>) -> Cursors {
    let others = vector.iter().filter(|(worker, _)| Some(**worker) != except);
    others.map(|(worker, mark)| (*worker, mark.id)).collect()
}

/// Starts to follow streams that were not known yet.
pub(super) fn add_streams(vector: &mut Vector, streams: &[u32]) {
    for worker in streams {
        vector.entry(*worker).or_default();
    }
}

/// One more than the highest number of a worker that has a stream.
pub(super) fn workers_of(vector: &Vector) -> u32 {
    vector.keys().rev().find(|stream| **stream < FIRST_NODE).map_or(0, |last| last + 1)
}

/// Moves a stream's cursor over an entry.
pub(super) fn advance(vector: &mut Vector, worker: u32, entry: &Entry) -> Result<(), Gap> {
    let mark = vector.entry(worker).or_default();
    if entry.prev != mark.id {
        return Err(Gap);
    }
    mark.follow(entry);
    Ok(())
}

/// Whether an entry lies beyond where its worker has to stand.
pub(super) fn is_beyond(worker: u32, entry: &Entry, until: Option<&[Position]>) -> bool {
    let Some(until) = until else { return false };
    let beyond = |worker: u32, progress: &Progress| {
        until.get(worker as usize).is_some_and(|limit| progress.at > *limit)
    };
    entry.progress.is_some_and(|progress| beyond(worker, &progress))
        || entry.passed.workers.iter().any(|(worker, progress)| beyond(*worker, progress))
}

/// How many entries of each of `streams` streams to ask for at once, so that memory stays bounded.
pub(super) fn entries_per_read(rows: &[(usize, usize)], streams: usize) -> usize {
    let bytes: usize = rows.iter().map(|(rows, length)| rows * length * 4).sum();
    (READ_BYTES / (bytes * streams.max(1)).max(1)).clamp(2, 64)
}

/// Cursors by so many streams that reading two entries of each brings about as much into memory; at least
/// one part, since a read of no stream still tells which streams there are.
fn parts(cursors: Cursors, rows: &[(usize, usize)]) -> Vec<Cursors> {
    let streams = entries_per_read(rows, 1).max(2) / 2;
    let all: Vec<_> = cursors.into_iter().collect();
    if all.is_empty() {
        return vec![Cursors::new()];
    }
    all.chunks(streams).map(|part| part.iter().copied().collect()).collect()
}

/// The vector as `(stream, last entry)` pairs, as an entry carries it.
pub(super) fn seen(vector: &Vector, except: u32) -> Vec<(u32, EntryId)> {
    cursors(vector, Some(except)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Passed;

    fn entry(id: EntryId, prev: EntryId) -> Entry {
        Entry {
            id,
            prev,
            kind: EntryKind::Push,
            progress: None,
            seen: Vec::new(),
            payload: Vec::new(),
            passed: Passed::default(),
        }
    }

    #[test]
    fn an_entry_that_does_not_follow_the_cursor_is_a_gap() {
        let id = |seq| EntryId { token: 7, seq };
        let mut vector = Vector::new();
        add_streams(&mut vector, &[2]);
        assert_eq!(advance(&mut vector, 2, &entry(id(0), EntryId::ZERO)), Ok(()));
        assert_eq!(advance(&mut vector, 2, &entry(id(1), id(0))), Ok(()));
        assert_eq!(advance(&mut vector, 2, &entry(id(3), id(2))), Err(Gap));
        assert_eq!(cursors(&vector, None)[&2], id(1));
        assert!(cursors(&vector, Some(2)).is_empty());
    }

    #[test]
    fn a_read_is_bounded_in_memory() {
        assert_eq!(entries_per_read(&[(785, 100), (101, 47)], 1), 12);
        assert_eq!(entries_per_read(&[(785, 100), (101, 47)], 64), 2);
        assert_eq!(entries_per_read(&[(2, 2)], 1), 64);
    }
}
