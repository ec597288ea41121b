//! The folded log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Cursors, Entry, EntryId, Passed, Progress};

/// How far a snapshot goes in one stream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The last entry that was folded.
    pub id: EntryId,
    /// Where the stream's worker stood there.
    pub progress: Progress,
    /// What it had passed on, where it is a synchronizer's.
    pub passed: Passed,
}

impl Mark {
    /// Goes on to the next entry of the stream.
    pub fn follow(&mut self, entry: &Entry) {
        self.id = entry.id;
        // A fence says nothing of what was done.
        if let Some(progress) = entry.progress {
            self.progress = progress;
            self.passed.clone_from(&entry.passed);
        }
    }
}

/// How far a snapshot goes in each stream.
pub type Vector = BTreeMap<u32, Mark>;

/// Where a worker stands, whether it pushed here or a synchronizer passed on what it pushed elsewhere.
pub fn progress(vector: &Vector, worker: u32) -> Progress {
    let own = vector.get(&worker).map(|mark| mark.progress).unwrap_or_default();
    let heard = vector.values().filter_map(|mark| mark.passed.workers.get(&worker).copied());
    heard.fold(own, Progress::farther)
}

/// Initial parameters + every entry up to a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Counts the run's snapshots; the initial parameters are 1.
    pub version: u64,
    /// How far it goes.
    pub vector: Vector,
    /// The parameters, packed by [`crate::codec::blob::pack`].
    pub parameters: Vec<u8>,
}

/// From which entry on each stream has to be kept once `vector` is folded. The entry *at* the vector stays
/// on purpose: it shows a reader who is behind that something is missing even when nothing newer comes.
pub(super) fn trim_to(
    vector: &Vector,
    readers: &BTreeMap<u32, Cursors>,
) -> impl Iterator<Item = (u32, EntryId)> {
    vector.iter().map(|(stream, mark)| {
        let read = readers.values().map(|cursors| cursors.get(stream).copied().unwrap_or_default());
        (*stream, read.fold(mark.id, EntryId::min))
    })
}
