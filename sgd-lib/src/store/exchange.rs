//! Push and fetch in one round trip.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Entry, EntryId, Lease};

/// For each stream, the last entry that was read.
pub type Cursors = BTreeMap<u32, EntryId>;

/// What a worker wants of the store in one round trip, done in this order.
#[derive(Default)]
pub struct Exchange<'a> {
    /// The entry to append to the worker's own stream (`lease.worker`), and the lease to renew.
    pub push: Option<&'a Entry>,
    /// The lease to renew; a push needs one.
    pub lease: Option<&'a Lease>,
    /// What the store must still have: on a connection that is newer than that it is asked, before anything else.
    pub known: Option<Known<'a>>,
    /// The lease was renewed so lately that it can't have expired: it is not renewed again.
    pub lease_is_fresh: bool,
    /// Read what came after these cursors, in these streams only.
    pub cursors: Option<&'a Cursors>,
    /// Where there is nothing to read, wait up to this long for it.
    pub wait: Duration,
    /// The number of a reader that must see every entry, and how far it has read.
    pub reader: Option<(u32, &'a Cursors)>,
    /// At most this many entries of each stream.
    pub entries_per_stream: usize,
    /// Events to append.
    pub events: &'a [Vec<u8>],
}

/// How far streams had been read or written, on whatever connections.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// All of it was read or written since then: a connection that was there before shows that the store was not
    /// restarted.
    pub since: Instant,
    /// How far.
    pub ends: &'a dyn Fn() -> Cursors,
}

/// What became of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushOutcome {
    /// It stands in the log, exactly once.
    Accepted,
    /// The stream belongs to a newer holder: nothing of ours is accepted any more.
    Fenced,
    /// There is no such stream: the run was deleted.
    Gone,
}

/// What a round trip brought.
#[derive(Debug, Default)]
pub struct Exchanged {
    /// What became of the push, if there was one.
    pub push: Option<PushOutcome>,
    /// Where the connection was newer than what was [known](Exchange::known), all of which the store still has:
    /// when it was made.
    pub reconnected: Option<Instant>,
    /// False when the lease is somebody else's now.
    pub lease_held: bool,
    /// New entries of each stream, in order.
    pub entries: Vec<(u32, Vec<Entry>)>,
    /// Every stream of the run, where a fetch was asked for; as it is after the entries were read.
    pub streams: Vec<u32>,
    /// The control record, where a fetch was asked for.
    pub control: Control,
    /// The newest snapshot's version, where a fetch was asked for; 0 without one.
    pub snapshot_version: u64,
}

/// What steers a run from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// Why the run was stopped, if it was.
    pub stop: Option<String>,
    /// The number of workers, once it is fixed.
    pub workers: Option<u32>,
}
