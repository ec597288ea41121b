//! The store's end of the link.

mod base;
#[cfg(test)]
mod forked;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::snapshots::Recent;
use super::{GlobalEnd, Reply, Request};
use crate::codec;
use crate::downpour::log::{
    self, Folded, Gap, LogError, add_streams, advance, cursors, entries_per_read, is_beyond, seen, workers_of,
};
use crate::store::{
    Cursors, Entry, EntryId, EntryKind, Exchange, Exchanged, Known, Lease, Mark, Passed, Position, Progress,
    PushOutcome, RunKeys, Store, Vector, progress,
};

/// Between two looks at the leases of the others.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// A lease is renewed when this part of its time has passed: an eighth of a push and fetch of 87 kB.
const RENEWALS_PER_LEASE: u32 = 8;

/// What talks to the store.
pub(in crate::downpour) struct FarEnd {
    pub(super) store: Arc<dyn Store>,
    pub(super) run: RunKeys,
    pub(super) lease: Lease,
    pub(super) rows: Vec<(usize, usize)>,
    /// The number of workers: who has to be there. `None` where they come and go.
    pub(super) workers: Option<u32>,
    /// Where the worker's base stands.
    pub(super) folded: Vector,
    /// Up to where the streams were read.
    read: Vector,
    /// The store was asked since then whether it has lost any of that, or it was read since then.
    pub(super) since: Instant,
    /// All that is in the base was read or written since then. An answer that nothing is lost does not count here:
    /// behind a stream's end there may be a successor's entries instead of lost ones.
    pub(super) base_since: Instant,
    /// What lies in between, of each stream: it belongs to a round that not everybody has finished.
    held: BTreeMap<u32, VecDeque<Entry>>,
    pub(super) snapshot_version: u64,
    /// Bytes in the log since the newest snapshot, as far as this worker knows.
    pub(super) log_bytes: u64,
    pub(super) watched: Instant,
    pub(super) renewed: Option<Instant>,
    /// The store was reached anew since the last answer: it may have been restarted without its last writes.
    pub(super) reconnected: bool,
    /// Where the log is in a node's store: the global one, for everything else.
    pub(super) global: Option<GlobalEnd>,
    /// Where a fetch brings the newest snapshot, not entries: what the worker pushed last.
    pub(super) recent: Option<Recent>,
    /// For how long a fetch waits for a snapshot that somebody else makes: not for long enough to lose the lease.
    pub(super) patience: Duration,
}

impl FarEnd {
    /// Of a worker among `workers`, whose base is `base`, of a network of these rows.
    pub(in crate::downpour) fn new(
        store: Arc<dyn Store>,
        run: RunKeys,
        lease: Lease,
        rows: Vec<(usize, usize)>,
        workers: u32,
        base: &Folded,
        global: Option<GlobalEnd>,
    ) -> Self {
        let patience = lease.ttl / 4;
        Self {
            store,
            run,
            lease,
            rows,
            workers: Some(workers),
            folded: base.vector.clone(),
            read: base.vector.clone(),
            since: base.since,
            base_since: base.since,
            held: BTreeMap::new(),
            snapshot_version: base.snapshot_version,
            log_bytes: base.log_bytes,
            watched: Instant::now(),
            renewed: None,
            reconnected: false,
            global,
            recent: None,
            patience,
        }
    }

    /// The same, where workers come and go.
    pub(in crate::downpour) fn of_all_who_come(mut self) -> Self {
        self.workers = None;
        self
    }

    /// The same, which fetches snapshots or entries.
    pub(in crate::downpour) fn fetching_snapshots(mut self, snapshots: bool) -> Self {
        self.recent = snapshots.then(Recent::default);
        self
    }
}

impl FarEnd {
    pub(super) fn serve(
        mut self,
        requests: &Receiver<Request>,
        replies: &SyncSender<Result<Reply, LogError>>,
    ) {
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
        let ends = || self.known();
        let known = Some(Known { since: self.since, ends: &ends });
        let renewal = Exchange { lease: Some(&self.lease), known, ..Exchange::default() };
        let renewed = self.store.exchange(&self.run, &renewal).map(|exchanged| exchanged.reconnected);
        let renewed = renewed.map(|reconnected| self.note_connection(reconnected));
        let above = self.global.as_mut().map_or(Ok(true), |global| global.look(&[]));
        if let Err(error) = renewed.and(above) {
            tracing::warn!(%error, worker = self.lease.worker, "the lease could not be renewed");
        }
    }

    pub(super) fn answer(&mut self, mut request: Request) -> Result<Reply, LogError> {
        if let Some(parameters) = request.snapshot.take() {
            self.write_snapshot(&parameters)?;
        }
        let entry = request.push.map(|(kind, progress)| self.entry(kind, progress, &mut request.payload));
        let (exchanged, entries_per_stream) = self.exchange(entry.as_ref(), &request)?;
        let mut reply = Reply {
            push: exchanged.push,
            sum: request.sum,
            payload: request.payload,
            lease_held: exchanged.lease_held,
            reconnected: self.agree_again()?,
            ..Reply::default()
        };
        if let Some(entry) = entry {
            self.pushed(entry, request.awaited.is_some(), &mut reply);
        }
        if request.fetch {
            self.take_in(exchanged, entries_per_stream, request.awaited.as_deref(), &mut reply)?;
        }
        let last = self.last();
        if let Some(global) = self.global.as_mut().filter(|_| request.pass_on) {
            global.leave_home(last)?;
        }
        reply.own = (last, self.stands_at(self.lease.worker).at);
        reply.snapshot_due = self.log_bytes > log::bound(&self.rows);
        Ok(reply)
    }

    /// Pushes, renews and fetches, as far as it is asked for or due. With it, how many entries of each stream were
    /// asked for.
    fn exchange(&mut self, entry: Option<&Entry>, request: &Request) -> Result<(Exchanged, usize), LogError> {
        let ends = || self.known();
        let cursors = if self.recent.is_some() { Cursors::new() } else { self.others() };
        let entries_per_stream = entries_per_read(&self.rows, cursors.len());
        let lately = self.lease.ttl / RENEWALS_PER_LEASE;
        let (begun, lease_is_fresh) = (Instant::now(), self.renewed.is_some_and(|at| at.elapsed() < lately));
        let mut exchanged = self.store.exchange(
            &self.run,
            &Exchange {
                push: entry,
                lease: Some(&self.lease),
                known: Some(Known { since: self.since, ends: &ends }),
                lease_is_fresh,
                cursors: request.fetch.then_some(&cursors),
                entries_per_stream,
                events: if self.global.is_none() { &request.events } else { &[] },
                ..Exchange::default()
            },
        )?;
        self.note_connection(exchanged.reconnected);
        if !lease_is_fresh {
            self.renewed = exchanged.lease_held.then_some(begun);
        }
        if let Some(global) = &mut self.global {
            exchanged.lease_held &= global.look(&request.events)?;
            exchanged.control.clone_from(&global.control);
        }
        Ok((exchanged, entries_per_stream))
    }

    fn entry(&self, kind: EntryKind, progress: Progress, payload: &mut Vec<u8>) -> Entry {
        let prev = self.last();
        Entry {
            id: EntryId { token: self.lease.token, seq: prev.seq + 1 },
            prev,
            kind,
            progress: Some(progress),
            seen: seen(&self.folded, self.lease.worker),
            payload: std::mem::take(payload),
            passed: Passed::default(),
        }
    }

    /// How far the streams were read or written. The worker's own has its fence, even where the store was restarted
    /// without it before it was read: then who had the lease before pushes on.
    fn known(&self) -> Cursors {
        let mut known = cursors(&self.read, None);
        let own = known.entry(self.lease.worker).or_default();
        *own = (*own).max(EntryId { token: self.lease.token, seq: 0 });
        known
    }

    /// The last entry of the worker's own stream.
    pub(super) fn last(&self) -> EntryId {
        self.read.get(&self.lease.worker).map_or(EntryId::ZERO, |mark| mark.id)
    }

    /// What becomes of the worker's own entry: it is in its base already, or comes back with the others'.
    fn pushed(&mut self, entry: Entry, comes_back: bool, reply: &mut Reply) {
        if reply.push != Some(PushOutcome::Accepted) {
            reply.payload = entry.payload;
            return;
        }
        self.log_bytes += entry.payload.len() as u64;
        let own = self.lease.worker;
        let progress = entry.progress.unwrap_or_default();
        let mark = Mark { id: entry.id, progress, passed: Passed::default() };
        self.read.insert(own, mark.clone());
        if comes_back {
            self.held.entry(own).or_default().push_back(entry);
        } else {
            self.folded.insert(own, mark);
            reply.payload = match &mut self.recent {
                Some(recent) => recent.keep(entry),
                None => entry.payload,
            };
        }
    }

    fn take_in(
        &mut self,
        mut exchanged: Exchanged,
        entries_per_stream: usize,
        awaited: Option<&[Position]>,
        reply: &mut Reply,
    ) -> Result<(), LogError> {
        reply.control = Some(std::mem::take(&mut exchanged.control));
        add_streams(&mut self.read, &exchanged.streams);
        if self.recent.is_some() {
            self.fetch_snapshot(exchanged.snapshot_version, reply)?;
        } else {
            self.fetch_entries(exchanged, entries_per_stream, awaited, reply)?;
        }
        self.look_after_the_others(reply)
    }

    fn fetch_entries(
        &mut self,
        mut exchanged: Exchanged,
        entries_per_stream: usize,
        awaited: Option<&[Position]>,
        reply: &mut Reply,
    ) -> Result<(), LogError> {
        if exchanged.snapshot_version != self.snapshot_version {
            self.snapshot_version = exchanged.snapshot_version;
            self.log_bytes = 0;
        }
        let mut held = self.hold(&mut exchanged, awaited, reply)?;
        // A stream that gave all that was asked for has more: who left it for the next fetch would
        // fall behind for good where the others are faster.
        while held == Ok(()) && exchanged.entries.iter().any(|(_, read)| read.len() >= entries_per_stream) {
            let cursors = self.others();
            let more = Exchange { cursors: Some(&cursors), entries_per_stream, ..Exchange::default() };
            exchanged.entries = self.store.exchange(&self.run, &more)?.entries;
            held = self.hold(&mut exchanged, awaited, reply)?;
        }
        if held == Err(Gap) {
            self.rebuild(awaited, reply)?;
        }
        reply.complete = awaited.is_none_or(|awaited| self.all_stand_at(awaited));
        if reply.complete {
            self.fold(awaited, reply)?;
        }
        Ok(())
    }

    /// Where to read on in the others' streams.
    fn others(&self) -> Cursors {
        cursors(&self.read, Some(self.lease.worker))
    }

    /// Where the others stand, and who is missing.
    fn look_after_the_others(&mut self, reply: &mut Reply) -> Result<(), LogError> {
        let workers = self.workers.unwrap_or_else(|| workers_of(&self.read));
        reply.stands = (0..workers).map(|worker| self.stands_at(worker)).collect();
        if self.watched.elapsed() >= WATCH_INTERVAL {
            self.watched = Instant::now();
            let (store, run) = match &self.global {
                Some(global) => (&global.store, &global.run),
                None => (&self.store, &self.run),
            };
            let held = store.held(run, 0..workers)?;
            let missing = (0..).zip(held).filter(|(_, held)| !held);
            reply.missing = Some(missing.map(|(worker, _)| worker).collect());
        }
        Ok(())
    }

    fn stands_at(&self, worker: u32) -> Progress {
        progress(&self.read, worker)
    }

    fn all_stand_at(&self, awaited: &[Position]) -> bool {
        (0..).zip(awaited).all(|(worker, awaited)| self.stands_at(worker).at >= *awaited)
    }

    /// Takes entries that were read, and folds them in where nobody is waited for.
    fn hold(
        &mut self,
        exchanged: &mut Exchanged,
        awaited: Option<&[Position]>,
        reply: &mut Reply,
    ) -> Result<Result<(), Gap>, LogError> {
        for (worker, entries) in &mut exchanged.entries {
            for entry in entries.iter_mut() {
                if advance(&mut self.read, *worker, entry) == Err(Gap) {
                    return Ok(Err(Gap));
                }
                let payload = std::mem::take(&mut entry.payload);
                self.held.entry(*worker).or_default().push_back(Entry { payload, ..entry.clone() });
            }
        }
        if awaited.is_none() {
            self.fold(None, reply)?;
        }
        Ok(Ok(()))
    }

    /// Adds up what is held, up to `until`: in the order of the workers, so that all who wait for one
    /// another get the same bits.
    fn fold(&mut self, until: Option<&[Position]>, reply: &mut Reply) -> Result<(), LogError> {
        for (&worker, entries) in &mut self.held {
            let count = entries.iter().take_while(|entry| !is_beyond(worker, entry, until)).count();
            for entry in entries.drain(..count) {
                self.folded.entry(worker).or_default().follow(&entry);
                if entry.kind == EntryKind::Fence {
                    continue;
                }
                if reply.folded {
                    codec::decode_add(&entry.payload, &self.rows, &mut reply.sum)?;
                } else {
                    codec::decode_to(&entry.payload, &self.rows, &mut reply.sum)?;
                    reply.folded = true;
                }
                if worker == self.lease.worker {
                    reply.payload = entry.payload;
                } else {
                    let bytes = entry.payload.len() as u64;
                    reply.pushes += 1;
                    reply.bytes += bytes;
                    self.log_bytes += bytes;
                }
            }
        }
        Ok(())
    }
}
