//! The thread that talks to the store while the worker computes.
//!
//! One request is under way at a time. The link keeps the vector that the worker's base stands at:
//! it moves with each reply, and the worker folds each reply before it sends the next request.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::log::{Folded, Gap, LogError, add_streams, advance, cursors, entries_per_read, seen};
use crate::codec;
use crate::store::{
    Control, Entry, EntryId, EntryKind, Exchange, Exchanged, Lease, Mark, Position, Progress, PushOutcome,
    RunKeys, Snapshot, Store, Vector,
};

/// Between two looks at the leases of the others.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// While somebody writes a snapshot, nobody else does.
const SNAPSHOT_LOCK: Duration = Duration::from_secs(10);
/// A snapshot is due when this many times its own size was pushed since the last one…
const LOG_PER_SNAPSHOT: u64 = 32;
/// …and at least this many bytes.
const LEAST_LOG: u64 = 4 << 20;

/// What the worker wants of the store. The buffers come back in the [`Reply`].
#[derive(Default)]
pub(super) struct Request {
    /// An encoded delta: its kind, where the worker stands after it.
    pub(super) push: Option<(EntryKind, Progress)>,
    /// The encoded delta.
    pub(super) payload: Vec<u8>,
    /// Read what the others pushed.
    pub(super) fetch: bool,
    /// Takes the sum of what the others pushed.
    pub(super) sum: Vec<f32>,
    /// The worker's base as it stands: write it as a snapshot before anything else.
    pub(super) snapshot: Option<Vec<f32>>,
    /// Events to append.
    pub(super) events: Vec<Vec<u8>>,
}

/// What a request brought.
#[derive(Default)]
pub(super) struct Reply {
    /// What became of the push.
    pub(super) push: Option<PushOutcome>,
    /// The request's buffer.
    pub(super) payload: Vec<u8>,
    /// The request's buffer: the sum of `pushes` deltas, nothing where that is 0.
    pub(super) sum: Vec<f32>,
    /// Pushes by others that the fetch brought.
    pub(super) pushes: u64,
    /// Bytes of their payloads.
    pub(super) bytes: u64,
    /// Instead of a sum: base, rebuilt from snapshot and log.
    pub(super) rebuilt: Option<Vec<f32>>,
    /// The control record, where a fetch was asked for.
    pub(super) control: Option<Control>,
    /// False when the lease is somebody else's.
    pub(super) lease_held: bool,
    /// The log has grown so much that a snapshot should be written.
    pub(super) snapshot_due: bool,
    /// Workers below the end of training whose lease nobody holds.
    pub(super) missing: Vec<u32>,
    /// Whether every worker's stream stands at the end of the last epoch.
    pub(super) all_done: bool,
}

/// The worker's end of the link.
pub(super) struct Link {
    requests: Option<SyncSender<Request>>,
    replies: Receiver<Result<Reply, LogError>>,
    thread: Option<JoinHandle<()>>,
    in_flight: bool,
}

impl Link {
    /// Starts the thread.
    pub(super) fn start(end: FarEnd) -> std::io::Result<Self> {
        let (requests, incoming) = sync_channel(1);
        let (outgoing, replies) = sync_channel(1);
        let thread = thread::Builder::new()
            .name(format!("link-{}", end.lease.worker))
            .spawn(move || end.serve(&incoming, &outgoing))?;
        Ok(Self { requests: Some(requests), replies, thread: Some(thread), in_flight: false })
    }

    /// Whether a request is under way.
    pub(super) fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// Sends a request. None may be under way.
    pub(super) fn send(&mut self, request: Request) {
        debug_assert!(!self.in_flight, "one request at a time");
        // A link that ended has left its error where the reply is awaited.
        self.in_flight = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
    }

    /// The reply, if it is there.
    pub(super) fn poll(&mut self) -> Option<Result<Reply, LogError>> {
        match self.replies.try_recv() {
            Ok(reply) => {
                self.in_flight = false;
                Some(reply)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// Waits for the reply. `None` when no request is under way.
    pub(super) fn wait(&mut self) -> Option<Result<Reply, LogError>> {
        if !self.in_flight {
            return None;
        }
        self.in_flight = false;
        self.replies.recv().ok()
    }
}

impl Link {
    /// Ends the thread, after what it is doing: no lease is renewed from here on.
    pub(super) fn close(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the link to the store panicked");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

/// The store's end of the link.
pub(super) struct FarEnd {
    pub(super) store: Arc<dyn Store>,
    pub(super) run: RunKeys,
    pub(super) lease: Lease,
    pub(super) rows: Vec<(usize, usize)>,
    /// Where the worker's base stands.
    pub(super) vector: Vector,
    pub(super) snapshot_version: u64,
    /// The number of workers and of epochs: who has to be there, and until when.
    pub(super) workers: u32,
    pub(super) epochs: u32,
    /// Bytes in the log since the newest snapshot, as far as this worker knows.
    pub(super) log_bytes: u64,
    pub(super) watched: Instant,
}

impl FarEnd {
    fn serve(mut self, requests: &Receiver<Request>, replies: &SyncSender<Result<Reply, LogError>>) {
        let renew_after = self.lease.ttl / 3;
        loop {
            let answered = match requests.recv_timeout(renew_after) {
                Ok(request) => replies.send(self.answer(request)),
                Err(RecvTimeoutError::Timeout) => {
                    self.renew();
                    Ok(())
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if answered.is_err() {
                return;
            }
        }
    }

    /// A long minibatch must not cost the lease. A failure shows at the next push.
    fn renew(&self) {
        let renewal = Exchange { lease: Some(&self.lease), ..Exchange::default() };
        if let Err(error) = self.store.exchange(&self.run, &renewal) {
            tracing::warn!(%error, worker = self.lease.worker, "the lease could not be renewed");
        }
    }

    fn answer(&mut self, mut request: Request) -> Result<Reply, LogError> {
        if let Some(parameters) = request.snapshot.take() {
            self.write_snapshot(&parameters)?;
        }
        let entry = request.push.map(|(kind, progress)| self.entry(kind, progress, &mut request.payload));
        let cursors = cursors(&self.vector, Some(self.lease.worker));
        let entries_per_stream = entries_per_read(&self.rows, cursors.len());
        let exchanged = self.store.exchange(
            &self.run,
            &Exchange {
                push: entry.as_ref(),
                lease: Some(&self.lease),
                cursors: request.fetch.then_some(&cursors),
                entries_per_stream,
                events: &request.events,
            },
        )?;
        let mut reply = Reply {
            push: exchanged.push,
            sum: request.sum,
            payload: request.payload,
            lease_held: exchanged.lease_held,
            ..Reply::default()
        };
        if let Some(entry) = entry {
            if exchanged.push == Some(PushOutcome::Accepted) {
                self.log_bytes += entry.payload.len() as u64;
                let progress = entry.progress.unwrap_or_default();
                self.vector.insert(self.lease.worker, Mark { id: entry.id, progress });
            }
            reply.payload = entry.payload;
        }
        if request.fetch {
            reply.sum.fill(0.0);
            self.take_in(exchanged, entries_per_stream, &mut reply)?;
        }
        reply.snapshot_due = self.log_bytes > self.log_bound();
        Ok(reply)
    }

    fn entry(&self, kind: EntryKind, progress: Progress, payload: &mut Vec<u8>) -> Entry {
        let prev = self.vector.get(&self.lease.worker).map_or(EntryId::ZERO, |mark| mark.id);
        Entry {
            id: EntryId { token: self.lease.token, seq: prev.seq + 1 },
            prev,
            kind,
            progress: Some(progress),
            seen: seen(&self.vector, self.lease.worker),
            payload: std::mem::take(payload),
        }
    }

    fn take_in(
        &mut self,
        mut exchanged: Exchanged,
        entries_per_stream: usize,
        reply: &mut Reply,
    ) -> Result<(), LogError> {
        reply.control = Some(std::mem::take(&mut exchanged.control));
        add_streams(&mut self.vector, &exchanged.streams);
        if exchanged.snapshot_version != self.snapshot_version {
            self.snapshot_version = exchanged.snapshot_version;
            self.log_bytes = 0;
        }
        let mut added = self.add_entries(&exchanged.entries, reply)?;
        // A stream that gave all that was asked for has more: who left it for the next fetch would
        // fall behind for good where the others are faster.
        while added == Ok(()) && exchanged.entries.iter().any(|(_, read)| read.len() >= entries_per_stream) {
            let cursors = cursors(&self.vector, Some(self.lease.worker));
            let more = Exchange { cursors: Some(&cursors), entries_per_stream, ..Exchange::default() };
            exchanged.entries = self.store.exchange(&self.run, &more)?.entries;
            added = self.add_entries(&exchanged.entries, reply)?;
        }
        if added == Err(Gap) {
            let folded = Folded::load(&*self.store, &self.run, &self.rows)?;
            self.vector = folded.vector;
            self.snapshot_version = folded.snapshot_version;
            self.log_bytes = folded.log_bytes;
            reply.rebuilt = Some(folded.parameters);
        }
        let end = Position { epoch: self.epochs, minibatch: 0 };
        let done = |worker| self.vector.get(&worker).is_some_and(|mark| mark.progress.at >= end);
        reply.all_done = (0..self.workers).all(done);
        if self.watched.elapsed() >= WATCH_INTERVAL {
            self.watched = Instant::now();
            let held = self.store.held(&self.run, self.workers)?;
            let missing = (0..).zip(held).filter(|(worker, held)| !held && !done(*worker));
            reply.missing = missing.map(|(worker, _)| worker).collect();
        }
        Ok(())
    }

    /// Adds up what the others pushed; on a gap what was added so far is void.
    fn add_entries(
        &mut self,
        entries: &[(u32, Vec<Entry>)],
        reply: &mut Reply,
    ) -> Result<Result<(), Gap>, LogError> {
        for (worker, entries) in entries {
            for entry in entries {
                if advance(&mut self.vector, *worker, entry) == Err(Gap) {
                    return Ok(Err(Gap));
                }
                if entry.kind != EntryKind::Fence {
                    codec::decode_add(&entry.payload, &self.rows, &mut reply.sum)?;
                    reply.pushes += 1;
                    reply.bytes += entry.payload.len() as u64;
                    self.log_bytes += entry.payload.len() as u64;
                }
            }
        }
        Ok(Ok(()))
    }

    fn log_bound(&self) -> u64 {
        let parameters: usize = self.rows.iter().map(|(rows, length)| rows * length).sum();
        (parameters as u64 * 4 * LOG_PER_SNAPSHOT).max(LEAST_LOG)
    }

    /// Writes the worker's base as the next snapshot, unless somebody else is at it, or the stored
    /// one has entries that this base lacks.
    fn write_snapshot(&mut self, parameters: &[f32]) -> Result<(), LogError> {
        self.log_bytes = 0;
        if !self.store.lock(&self.run, "snapshot", &self.lease.holder, SNAPSHOT_LOCK)? {
            return Ok(());
        }
        let ahead = |worker: &u32, mark: &Mark| self.vector.get(worker).is_some_and(|own| own.id >= mark.id);
        // A run without a snapshot was deleted.
        if let Some((version, stored)) = self.store.snapshot_vector(&self.run)?
            && stored.iter().all(|(worker, mark)| ahead(worker, mark))
        {
            let snapshot = Snapshot {
                version: version + 1,
                vector: self.vector.clone(),
                parameters: codec::blob::pack(parameters),
            };
            if self.store.write_snapshot(&self.run, &snapshot)? {
                self.snapshot_version = snapshot.version;
            }
        }
        self.store.unlock(&self.run, "snapshot", &self.lease.holder)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
