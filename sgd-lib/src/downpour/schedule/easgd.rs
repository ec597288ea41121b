//! Asynchronous elastic averaging (Zhang, Choromanska and LeCun 2015: "Deep learning with elastic averaging
//! SGD", algorithm 1).
//!
//! Workers train on parameters of their own; every τ = `n_push` minibatches one and the centre are drawn
//! together: d = α (θ − centre), θ ← θ − d, centre ← centre + d. The centre is initial parameters + Σ pushes, so
//! d is all that is pushed. α = β / M with the paper's β = 0.9, which all workers together may pull.
//!
//! The centre that d is reckoned from is the one of the last fetch and the own pushes since: it is fetched
//! with each push. What a codec rounds away stays in the distance between θ and the centre, where the next
//! push finds it.
//!
//! θ is in nobody's log: a planned successor takes it over, that of a worker that died begins at the centre,
//! as a new worker does.

use super::{Coupling, Due, Schedule, Since, Staleness};
use crate::store::Position;

/// β: what all workers together pull.
const PULL: f32 = 0.9;

pub(super) struct Easgd {
    period: u32,
    weight: f32,
    staleness: Staleness,
}

impl Easgd {
    /// Of `workers` workers that push every `period` minibatches.
    pub(super) fn new(period: u32, workers: u32, staleness: Staleness) -> Self {
        Self { period, weight: PULL / workers.max(1) as f32, staleness }
    }
}

impl Schedule for Easgd {
    fn due(&self, since: Since, _at: Position) -> Due {
        let ends = since.push >= self.period;
        Due { push: ends, fetch: ends }
    }

    fn weight(&self, _since: &Since, _minibatch: u32) -> f32 {
        self.weight
    }

    fn bound(&self, at: Position) -> Option<Vec<Position>> {
        self.staleness.bound(at)
    }

    fn coupling(&self) -> Coupling {
        Coupling::Elastic
    }
}
