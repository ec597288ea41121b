//! One direction of a synchronizer: carries sums of the entries of one store's streams to one stream of
//! another store.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::rounds::in_order;
use crate::codec::{self, Codec, Encoder};
use crate::downpour::log::{LogError, entries_per_read};
use crate::store::{
    Cursors, Entry, EntryId, EntryKind, Exchange, Exchanged, Known, Lease, Passed, Position, Progress,
    PushOutcome, RunKeys, Store, StoreError,
};

/// One of the two stores.
#[derive(Clone)]
pub(super) struct Side {
    pub(super) store: Arc<dyn Store>,
    pub(super) keys: RunKeys,
}

impl fmt::Debug for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.fmt(f)
    }
}

/// Why a synchronizer can't go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum RelayError {
    /// A store, or what is in it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Somebody else writes the stream now, or the run was deleted.
    #[error("somebody else synchronizes")]
    Replaced,
    /// A store has lost entries that were not passed on.
    #[error("stream {stream} of {store:?} lacks entries that were not passed on")]
    Lost {
        /// Where.
        store: Side,
        /// The stream.
        stream: u32,
    },
}

impl RelayError {
    /// Whether one of the stores no longer has what the other has of it.
    pub(super) fn is_loss(&self) -> bool {
        match self {
            Self::Log(LogError::NoSnapshot { .. } | LogError::Store(StoreError::Emptied { .. })) => true,
            Self::Log(error) => error.is_forgotten(),
            Self::Lost { .. } => true,
            Self::Replaced => false,
        }
    }
}

impl From<StoreError> for RelayError {
    fn from(error: StoreError) -> Self {
        Self::Log(error.into())
    }
}

/// From where to where.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) from: Side,
    pub(super) to: Side,
    /// Of the stream in `to` that the relay writes.
    pub(super) lease: Lease,
    /// The stream in `from` that it does not read: what that has came from `to`.
    pub(super) twin: u32,
    /// The number under which `from` keeps what it has not read.
    pub(super) reader: u32,
    /// The shape of a delta.
    pub(super) rows: Vec<(usize, usize)>,
    pub(super) codec: Codec,
    /// Where a worker stands that has finished.
    pub(super) end: Position,
}

/// See the module.
pub(super) struct Relay {
    route: Route,
    /// Workers wait for one another: what they pushed in different rounds has to stay apart.
    in_rounds: bool,
    /// What is read goes on as it is, entry by entry, without being added up.
    verbatim: bool,
    /// The last entry that it wrote, or its fence.
    last: EntryId,
    /// It was written since then.
    known_since: Instant,
    /// What the stream that it writes has passed on.
    passed: Passed,
    /// What it has read: what the next entry will have passed on.
    read: Passed,
    /// What was read and not passed on, rounding of what was passed on included.
    sum: Vec<f32>,
    /// Pushes that were read and not passed on, and since when there are any.
    waiting: u32,
    since: Instant,
    /// They should not wait for more: an epoch ended, or somebody leaves.
    urgent: bool,
    /// Where the workers stand whose pushes these are, where that is the same for all.
    round: Option<Position>,
    /// The last push of a worker is among them: nothing may be held back.
    finished: bool,
    encoder: Encoder,
    whole: Encoder,
    decoded: Vec<f32>,
    payload: Vec<u8>,
    renewed: Instant,
    registered: bool,
    snapshot_version: u64,
}

impl Relay {
    /// Goes on where the stream's last entry stopped, whoever wrote that: behind its fence, which was written since
    /// `known_since`.
    pub(super) fn new(route: Route, passed: Passed, known_since: Instant) -> Self {
        let parameters = route.rows.iter().map(|(rows, length)| rows * length).sum();
        Self {
            last: EntryId { token: route.lease.token, seq: 0 },
            known_since,
            read: passed.clone(),
            passed,
            sum: vec![0.0; parameters],
            waiting: 0,
            since: Instant::now(),
            urgent: false,
            round: None,
            finished: false,
            encoder: Encoder::new(route.codec, &route.rows),
            whole: Encoder::new(Codec::F32, &route.rows),
            decoded: vec![0.0; parameters],
            payload: Vec::new(),
            renewed: Instant::now(),
            registered: false,
            snapshot_version: 0,
            in_rounds: false,
            verbatim: false,
            route,
        }
    }

    /// From now on what belongs to different rounds is passed on apart, and one round after the other.
    pub(super) fn keep_rounds_apart(&mut self) {
        self.in_rounds = true;
    }

    /// From now on entries go on as they are, after the sum of what was read so far.
    pub(super) fn go_verbatim(&mut self) -> Result<(), RelayError> {
        if self.waiting > 0 {
            self.pass_on(true)?;
        }
        self.verbatim = true;
        Ok(())
    }

    /// Takes over what a predecessor had read but not passed on: `sum`, which ends where `read` says.
    pub(super) fn take_over(&mut self, sum: Vec<f32>, read: Passed) {
        self.sum = sum;
        self.read = read;
        self.waiting = 1;
        self.urgent = true;
    }

    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    /// What its stream has passed on.
    pub(super) fn passed(&self) -> &Passed {
        &self.passed
    }

    /// What was read and not passed on.
    pub(super) fn sum(&self) -> &[f32] {
        &self.sum
    }

    /// The version of the newest snapshot in the store that it reads.
    pub(super) fn snapshot_version(&self) -> u64 {
        self.snapshot_version
    }

    /// Whether `pushes` pushes wait, or any that should not, or any for `longest`.
    pub(super) fn is_due(&self, pushes: u32, longest: Duration) -> bool {
        self.waiting >= pushes || (self.waiting > 0 && (self.urgent || self.since.elapsed() >= longest))
    }

    /// Whether there is nothing to wait for: no stream is known yet.
    pub(super) fn is_idle(&self) -> bool {
        self.read.cursors.is_empty()
    }

    /// Whether anything is not passed on, be it by rounding.
    pub(super) fn holds_something(&self) -> bool {
        self.waiting > 0 || self.sum.iter().any(|x| *x != 0.0)
    }

    /// Reads what is new, waiting for it up to `wait`; nothing beyond `limit` where one is given. Whether
    /// there was anything. Renews the lease where it is time.
    pub(super) fn read(&mut self, wait: Duration, limit: Option<&Cursors>) -> Result<bool, RelayError> {
        self.renew()?;
        let entries_per_stream = entries_per_read(&self.route.rows, self.read.cursors.len());
        let mut fetched = self.fetch(wait, entries_per_stream)?;
        let any = self.follow(&fetched.streams);
        if self.in_rounds {
            // What stands in a stream that was not known belongs before what the others have after it.
            let mut new = any;
            while new {
                fetched = self.fetch(Duration::ZERO, entries_per_stream)?;
                new = self.follow(&fetched.streams);
            }
        }
        let entries = if self.in_rounds {
            in_order(fetched.entries, entries_per_stream, &self.read.workers)
        } else {
            let each = fetched.entries.into_iter();
            each.flat_map(|(stream, entries)| entries.into_iter().map(move |entry| (stream, entry))).collect()
        };
        let mut taken = false;
        for (stream, entry) in &entries {
            if limit.is_none_or(|limit| limit.get(stream).is_some_and(|last| entry.id <= *last)) {
                self.take(*stream, entry)?;
                taken = true;
            }
        }
        Ok(any || taken)
    }

    fn fetch(&mut self, wait: Duration, entries_per_stream: usize) -> Result<Exchanged, StoreError> {
        let from = &self.route.from;
        // Nothing need be kept for it of the stream that it does not read.
        let mut passed = self.passed.cursors.clone();
        passed.insert(self.route.twin, EntryId { token: u64::MAX, seq: u64::MAX });
        let exchange = Exchange {
            cursors: Some(&self.read.cursors),
            wait,
            reader: (!self.registered).then_some((self.route.reader, &passed)),
            entries_per_stream,
            ..Exchange::default()
        };
        let fetched = from.store.exchange(&from.keys, &exchange)?;
        self.registered = true;
        self.snapshot_version = fetched.snapshot_version;
        Ok(fetched)
    }

    /// From now on these streams are read, too. Whether any of them was not known.
    fn follow(&mut self, streams: &[u32]) -> bool {
        let known = self.read.cursors.len();
        for stream in streams.iter().filter(|stream| **stream != self.route.twin) {
            self.read.cursors.entry(*stream).or_default();
        }
        self.read.cursors.len() > known
    }

    fn take(&mut self, stream: u32, entry: &Entry) -> Result<(), RelayError> {
        self.keep_apart(entry)?;
        let cursor = self.read.cursors.entry(stream).or_default();
        if entry.prev != *cursor {
            return Err(RelayError::Lost { store: self.route.from.clone(), stream });
        }
        *cursor = entry.id;
        if entry.kind == EntryKind::Fence {
            return Ok(());
        }
        self.hear(stream, entry);
        if self.verbatim {
            self.append(EntryKind::Push, entry.payload.clone())?;
            return Ok(());
        }
        codec::decode_add(&entry.payload, &self.route.rows, &mut self.sum).map_err(LogError::from)?;
        if self.waiting == 0 {
            self.since = Instant::now();
        }
        self.waiting += 1;
        self.urgent |= entry.kind == EntryKind::Flush;
        Ok(())
    }

    fn hear(&mut self, stream: u32, entry: &Entry) {
        self.read.bytes_read += entry.payload.len() as u64;
        if let Some(progress) = entry.progress.filter(|progress| *progress != Progress::default()) {
            self.finished |= progress.at >= self.route.end;
            self.read.hear(stream, progress);
        }
        for (worker, progress) in &entry.passed.workers {
            self.read.hear(*worker, *progress);
        }
    }

    /// A reader that waits for the others' round must not get the next one with it.
    fn keep_apart(&mut self, entry: &Entry) -> Result<(), RelayError> {
        if !self.in_rounds || entry.kind == EntryKind::Fence {
            return Ok(());
        }
        let own = entry.progress.filter(|_| entry.passed.workers.is_empty());
        let round = own.map(|progress| progress.at);
        if self.waiting > 0 && (round.is_none() || round != self.round) {
            self.pass_on(false)?;
        }
        self.round = round;
        self.urgent = true;
        Ok(())
    }

    /// Passes on everything that was read; with `whole` nothing is held back by rounding.
    pub(super) fn pass_on(&mut self, whole: bool) -> Result<(), RelayError> {
        let whole = whole || self.finished;
        let encoder = if whole { &mut self.whole } else { &mut self.encoder };
        encoder.encode(&self.sum, &mut self.decoded, &mut self.payload).map_err(LogError::from)?;
        let payload = std::mem::take(&mut self.payload);
        let kind = if whole { EntryKind::Flush } else { EntryKind::Push };
        self.payload = self.append(kind, payload)?;
        for (sum, decoded) in self.sum.iter_mut().zip(&self.decoded) {
            *sum -= decoded;
        }
        (self.waiting, self.urgent, self.finished) = (0, false, false);
        Ok(())
    }

    /// Appends an entry that goes as far as was read. Returns the buffer of its payload.
    fn append(&mut self, kind: EntryKind, payload: Vec<u8>) -> Result<Vec<u8>, RelayError> {
        let mut passed = self.read.clone();
        passed.entries += 1;
        passed.bytes += payload.len() as u64;
        let entry = Entry {
            id: EntryId { token: self.last.token, seq: self.last.seq + 1 },
            prev: self.last,
            kind,
            progress: Some(Progress::default()),
            seen: Vec::new(),
            payload,
            passed,
        };
        self.push(Some(&entry))?;
        self.last = entry.id;
        self.read.clone_from(&entry.passed);
        self.passed = entry.passed;
        self.registered = false;
        Ok(entry.payload)
    }

    fn renew(&mut self) -> Result<(), RelayError> {
        if self.renewed.elapsed() >= self.route.lease.ttl / 4 { self.push(None) } else { Ok(()) }
    }

    fn push(&mut self, entry: Option<&Entry>) -> Result<(), RelayError> {
        let to = &self.route.to;
        let lease = &self.route.lease;
        let ends = || Cursors::from([(lease.worker, self.last)]);
        let known = Some(Known { since: self.known_since, ends: &ends });
        let exchange = Exchange { push: entry, lease: Some(lease), known, ..Exchange::default() };
        let exchanged = to.store.exchange(&to.keys, &exchange)?;
        self.known_since = exchanged.reconnected.unwrap_or(self.known_since);
        self.renewed = Instant::now();
        let accepted = exchanged.push.is_none_or(|outcome| outcome == PushOutcome::Accepted);
        if accepted && exchanged.lease_held { Ok(()) } else { Err(RelayError::Replaced) }
    }
}
