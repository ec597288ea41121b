//! What a worker leaves to its successor beside what stands in the log.

use serde::{Deserialize, Serialize};

use crate::store::Position;

/// Left by a worker that hands over, read by the one that goes on. It fits only where the log says that
/// the shard stands exactly where it was left: after a death in between, the log is all there is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// The fencing token of the lease under which it was left.
    pub(super) token: u64,
    /// Where the shard stood.
    pub(super) at: Position,
    /// Whether the invocation ended by plan, not because it had to.
    pub(super) planned: bool,
    /// The optimizer's accumulators.
    pub(super) optimizer: Vec<f32>,
    /// What the algorithm remembers: the outer optimizer's velocity, or θ where it keeps a distance.
    pub(super) algorithm: Vec<f32>,
    /// Samples since the parameters were last tried on test images.
    pub(super) untried: u64,
}

impl Carried {
    /// Whether this was left under a later lease than `other`, or under the same.
    pub fn supersedes(&self, other: &Self) -> bool {
        self.token >= other.token
    }

    /// Whether it was left where the shard stands.
    pub(super) fn fits(&self, at: Position) -> bool {
        self.token > 0 && self.at == at
    }

    pub(super) fn is_planned(&self) -> bool {
        self.planned
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_late_predecessor_leaves_does_not_stand() {
        let at = |epoch| Position { epoch, minibatch: 0 };
        let late = Carried { token: 7, at: at(1), ..Carried::default() };
        let newer = Carried { token: 8, at: at(2), ..Carried::default() };
        assert!(newer.supersedes(&late) && !late.supersedes(&newer));
        assert!(newer.fits(at(2)) && !late.fits(at(2)));
        assert!(late.supersedes(&Carried::default()));
        assert!(!Carried::default().fits(at(0)), "nothing was left");
    }
}
