//! The folded log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{EntryId, Progress};

/// How far a snapshot goes in one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The last entry that was folded.
    pub id: EntryId,
    /// Where the stream's worker stood there.
    pub progress: Progress,
}

/// How far a snapshot goes in each stream.
pub type Vector = BTreeMap<u32, Mark>;

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
