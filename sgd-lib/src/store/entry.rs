//! What one push looks like in the parameter log.

use std::collections::BTreeMap;
use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Cursors;

/// The name of an entry in a worker's stream: `<token>-<seq>`. Redis refuses an entry whose name is
/// not above the stream's last one; so a push counts once, and a worker that lost its lease (whose
/// successor's token is higher) can push no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId {
    /// The fencing token of the lease under which the entry was written.
    pub token: u64,
    /// Counts the entries under that token; the fence is 0.
    pub seq: u64,
}

impl EntryId {
    /// Before every entry.
    pub const ZERO: Self = Self { token: 0, seq: 0 };
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.token, self.seq)
    }
}

impl FromStr for EntryId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('-')
            .and_then(|(token, seq)| Some(Self { token: token.parse().ok()?, seq: seq.parse().ok()? }));
        parsed.ok_or_else(|| format!("{text:?} is no entry id; wanted is <token>-<seq>"))
    }
}

/// Where a worker stands: the epoch and, within its part of it, the next minibatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Counted from 0.
    pub epoch: u32,
    /// The next one of the worker's own minibatches of that epoch, counted from 0.
    pub minibatch: u32,
}

/// What a worker has done up to an entry, all its predecessors' work included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Where it stands after the entry.
    pub at: Position,
    /// Minibatches computed.
    pub minibatches: u64,
    /// Samples computed.
    pub samples: u64,
    /// Pushes accepted, this one included.
    pub pushes: u64,
}

impl Progress {
    /// The one of the two that is farther; of one worker they never contradict each other.
    pub fn farther(self, other: Self) -> Self {
        // A flush may follow a push without a minibatch in between.
        let place = |progress: Self| (progress.at, progress.minibatches, progress.pushes);
        if place(other) > place(self) { other } else { self }
    }
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A parameter delta.
    Push,
    /// A parameter delta with nothing held back: at an epoch's end or before a handover.
    Flush,
    /// No delta: a new holder took the stream over.
    Fence,
}

impl EntryKind {
    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Flush => "flush",
            Self::Fence => "fence",
        }
    }
}

impl FromStr for EntryKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Push, Self::Flush, Self::Fence]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| format!("{text:?} is no kind of entry; wanted is push, flush or fence"))
    }
}

/// What stands in the stream of a synchronizer up to an entry: the sum of other streams' entries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// The streams that were read, and how far: everything up to there is passed on, nothing after it.
    pub cursors: Cursors,
    /// Where each worker stood whose pushes are in it.
    pub workers: BTreeMap<u32, Progress>,
    /// Entries written, this one included.
    pub entries: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Bytes of the payloads of what was passed on.
    pub bytes_read: u64,
}

impl Passed {
    /// Where a worker stands is the farthest that anybody has heard of it.
    pub fn hear(&mut self, worker: u32, progress: Progress) {
        let known = self.workers.entry(worker).or_insert(progress);
        *known = known.farther(progress);
    }
}

/// One entry of a worker's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its name.
    pub id: EntryId,
    /// The name of the stream's entry before it: shows a reader that something was trimmed.
    pub prev: EntryId,
    /// What it is for.
    pub kind: EntryKind,
    /// Where the worker stands after it; a fence has none.
    pub progress: Option<Progress>,
    /// The worker's cursors in the other streams when it computed the delta.
    pub seen: Vec<(u32, EntryId)>,
    /// The encoded delta; empty in a fence.
    pub payload: Vec<u8>,
    /// What a synchronizer passed on; nothing in a worker's own entry.
    pub passed: Passed,
}

impl Entry {
    /// An entry without a delta: the stream has a new holder.
    pub(super) fn fence(id: EntryId, prev: EntryId) -> Self {
        Self {
            id,
            prev,
            kind: EntryKind::Fence,
            progress: None,
            seen: Vec::new(),
            payload: Vec::new(),
            passed: Passed::default(),
        }
    }
}

/// The part of an entry that travels as one encoded field.
#[derive(Serialize, Deserialize)]
pub(super) struct EntryMeta {
    pub(super) progress: Progress,
    pub(super) seen: Vec<(u32, EntryId)>,
    pub(super) passed: Passed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_pushes_at_the_same_place_the_later_one_is_farther() {
        let at = |minibatch, pushes| Progress {
            at: Position { epoch: 1, minibatch },
            minibatches: 20 + u64::from(minibatch),
            samples: 0,
            pushes,
        };
        let (push, flush, next) = (at(5, 7), at(5, 8), at(6, 9));
        for (one, other, farther) in [(push, flush, flush), (flush, push, flush), (flush, next, next)] {
            assert_eq!(one.farther(other), farther);
        }
    }

    #[test]
    fn ids_are_ordered_by_token_first() {
        let id = |text: &str| text.parse::<EntryId>().unwrap();
        assert!(id("2-0") > id("1-99"));
        assert!(id("1-10") > id("1-9"));
        assert_eq!(id("17-3").to_string(), "17-3");
        for bad in ["", "1", "1-", "-1", "a-1", "1-2-3", "99999999999999999999-0"] {
            assert!(bad.parse::<EntryId>().is_err(), "{bad}");
        }
    }
}
