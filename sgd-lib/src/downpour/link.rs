//! The thread that talks to the store while the worker computes.
//!
//! One request is under way at a time. The link keeps the vector that the worker's base stands at:
//! it moves with each reply, and the worker folds each reply before it sends the next request.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::log::{self, Folded, Gap, LogError, add_streams, advance, cursors, entries_per_read, seen};
use super::site::Site;
use crate::codec;
use crate::store::{
    Control, Cursors, Entry, EntryId, EntryKind, Exchange, Exchanged, Lease, Mark, Passed, Position, Progress,
    PushOutcome, RunKeys, Store, StoreError, Vector, progress,
};

/// Between two looks at the leases of the others.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// Between two looks at the global store, where the log is in a node's.
const GLOBAL_LOOK: Duration = Duration::from_millis(10);
/// How long a worker that leaves waits until what it pushed on its node is passed on.
const PASSING_ON: Duration = Duration::from_secs(3);

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
    /// Answer when everything that was pushed stands in the global store.
    pub(super) pass_on: bool,
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
    /// Where the log is in a node's store: the global one, for everything else.
    pub(super) global: Option<GlobalEnd>,
}

/// The end in the global store of a worker whose log is in its node's.
pub(super) struct GlobalEnd {
    pub(super) store: Arc<dyn Store>,
    pub(super) run: RunKeys,
    /// The right to the worker's number; a holder who has lost it has to go.
    pub(super) lease: Lease,
    pub(super) site: Site,
    pub(super) looked: Option<Instant>,
    pub(super) control: Control,
}

impl GlobalEnd {
    /// Renews the lease, tells what happened, and reads the control record, where it is time for any of it.
    /// Whether the lease is ours.
    fn look(&mut self, events: &[Vec<u8>]) -> Result<bool, StoreError> {
        if events.is_empty() && self.looked.is_some_and(|looked| looked.elapsed() < GLOBAL_LOOK) {
            return Ok(true);
        }
        let none = Cursors::new();
        let look =
            Exchange { lease: Some(&self.lease), cursors: Some(&none), events, ..Exchange::default() };
        let found = self.store.exchange(&self.run, &look)?;
        self.looked = Some(Instant::now());
        self.control = found.control;
        Ok(found.lease_held)
    }
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
    fn renew(&mut self) {
        let renewal = Exchange { lease: Some(&self.lease), ..Exchange::default() };
        let renewed = self.store.exchange(&self.run, &renewal).map(drop);
        let above = self.global.as_mut().map_or(Ok(true), |global| global.look(&[]));
        if let Err(error) = renewed.and(above) {
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
        let mut exchanged = self.store.exchange(
            &self.run,
            &Exchange {
                push: entry.as_ref(),
                lease: Some(&self.lease),
                cursors: request.fetch.then_some(&cursors),
                entries_per_stream,
                events: if self.global.is_none() { &request.events } else { &[] },
                ..Exchange::default()
            },
        )?;
        if let Some(global) = &mut self.global {
            exchanged.lease_held &= global.look(&request.events)?;
            exchanged.control = global.control.clone();
        }
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
                let mark = Mark { id: entry.id, progress, passed: Passed::default() };
                self.vector.insert(self.lease.worker, mark);
            }
            reply.payload = entry.payload;
        }
        if request.fetch {
            reply.sum.fill(0.0);
            self.take_in(exchanged, entries_per_stream, &mut reply)?;
        }
        if request.pass_on {
            self.await_passing_on()?;
        }
        reply.snapshot_due = self.log_bytes > log::bound(&self.rows);
        Ok(reply)
    }

    fn entry(&self, kind: EntryKind, progress: Progress, payload: &mut Vec<u8>) -> Entry {
        let prev = self.last();
        Entry {
            id: EntryId { token: self.lease.token, seq: prev.seq + 1 },
            prev,
            kind,
            progress: Some(progress),
            seen: seen(&self.vector, self.lease.worker),
            payload: std::mem::take(payload),
            passed: Passed::default(),
        }
    }

    /// Waits until the node's synchronizer, or a successor of it, has passed on what was pushed.
    fn await_passing_on(&mut self) -> Result<(), StoreError> {
        let (stream, last, renew_after) = (self.lease.worker, self.last(), self.lease.ttl / 3);
        let Some(global) = &mut self.global else { return Ok(()) };
        let deadline = Instant::now() + PASSING_ON;
        while !global.site.await_passing_on(stream, last, renew_after)? {
            if Instant::now() > deadline || !global.look(&[])? {
                tracing::warn!(worker = stream, "nobody has passed on the last pushes yet");
                break;
            }
        }
        Ok(())
    }

    /// The last entry of the worker's own stream.
    fn last(&self) -> EntryId {
        self.vector.get(&self.lease.worker).map_or(EntryId::ZERO, |mark| mark.id)
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
        let done = |worker| progress(&self.vector, worker).at >= end;
        reply.all_done = (0..self.workers).all(done);
        if self.watched.elapsed() >= WATCH_INTERVAL {
            self.watched = Instant::now();
            let (store, run) = match &self.global {
                Some(global) => (&global.store, &global.run),
                None => (&self.store, &self.run),
            };
            let held = store.held(run, 0..self.workers)?;
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

    /// Writes the worker's base as the next snapshot.
    fn write_snapshot(&mut self, parameters: &[f32]) -> Result<(), LogError> {
        self.log_bytes = 0;
        let holder = &self.lease.holder;
        if let Some(version) = log::write_snapshot(&*self.store, &self.run, holder, &self.vector, parameters)? {
            self.snapshot_version = version;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
