//! A bound on staleness (Ho et al. 2013: "More effective distributed ML via a stale synchronous parallel
//! parameter server").
//!
//! Nobody goes on while it is more than s pushes ahead of the slowest: counted by positions, so that a worker
//! that is done with its epoch, or with all, holds nobody up, and a successor that begins again where its
//! predecessor's last push was is waited for there. A push then lacks at most 2 s + 1 pushes of each other
//! worker: the worker began it with all that the others had pushed s pushes before, and they may be s pushes
//! ahead of it and have one more under way. The slowest waits for nobody, so somebody always goes on.

use super::rounds::Rounds;
use crate::store::Position;

/// How far a worker may be ahead of the slowest.
pub(super) struct Staleness {
    most: Option<u32>,
    /// Each ends with a push.
    rounds: Rounds,
}

impl Staleness {
    /// At most `most` pushes ahead; `None`: as far as it likes.
    pub(super) fn new(most: Option<u32>, rounds: Rounds) -> Self {
        Self { most, rounds }
    }

    /// Where each worker has to stand before one may go on from `at`.
    pub(super) fn bound(&self, at: Position) -> Option<Vec<Position>> {
        self.most.map(|most| self.rounds.behind(at, most))
    }
}
