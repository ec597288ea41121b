//! Synchronous parameter averaging, weighted by samples (McDonald, Hall and Mann 2010: "Distributed
//! training strategies for the structured perceptron"; local SGD).
//!
//! All begin a round with the same parameters; a worker's difference counts its share of the round's samples,
//! so the sum of the differences leads to the weighted mean of the workers' parameters.

use super::rounds::Rounds;
use super::{Coupling, Due, Schedule, Since};
use crate::store::Position;

pub(super) struct Average {
    rounds: Rounds,
    n_fetch: u32,
}

impl Average {
    pub(super) fn new(rounds: Rounds, n_fetch: u32) -> Self {
        Self { rounds, n_fetch }
    }
}

impl Schedule for Average {
    /// The epoch's last push is the flush. A fetch in the middle of a round folds nothing: it is for the stop
    /// flag, and takes what those have pushed already who are ahead.
    fn due(&self, since: Since, at: Position) -> Due {
        let ends = self.rounds.end_at(at);
        Due { push: ends, fetch: ends || since.fetch >= self.n_fetch }
    }

    fn weight(&self, since: &Since, minibatch: u32) -> f32 {
        self.rounds.share(since.samples, minibatch)
    }

    fn awaited(&self, at: Position) -> Option<Vec<Position>> {
        Some(self.rounds.before(at))
    }

    fn coupling(&self) -> Coupling {
        Coupling::ComesBack
    }
}
