//! Asynchronous elastic averaging (Zhang, Choromanska and LeCun 2015: "Deep learning with elastic averaging
//! SGD", algorithm 1).
//!
//! Workers train on parameters of their own; every τ = `n_push` minibatches one and the centre are drawn
//! together: d = α (θ − centre), θ ← θ − d, centre ← centre + d. The centre is initial parameters + Σ pushes, so
//! d is all that is pushed. α = β / M with the paper's β = 0.9, which all workers together may pull.
//!
//! The centre that d is reckoned from is the one of the last fetch and the own pushes since: it is fetched
//! with each push, and every `n_fetch` minibatches. What a codec rounds away stays in the distance between θ and the centre, where the next
//! push finds it.
//!
//! θ is in nobody's log: a planned successor takes it over, that of a worker that died begins at the centre,
//! as a new worker does.

use super::{Coupling, Due, Schedule, Since, Staleness};
use crate::downpour::config::RunConfig;
use crate::store::Position;

/// β: what all workers together pull.
const PULL: f32 = 0.9;

pub(super) struct Easgd {
    n_push: u32,
    n_fetch: u32,
    weight: f32,
    staleness: Staleness,
}

impl Easgd {
    /// Of so many workers.
    pub(super) fn new(config: &RunConfig, workers: u32, staleness: Staleness) -> Self {
        let (n_push, n_fetch) = (config.n_push, config.n_fetch);
        Self { n_push, n_fetch, weight: pull(workers), staleness }
    }
}

/// What each of so many workers pulls.
fn pull(workers: u32) -> f32 {
    PULL / workers.max(1) as f32
}

impl Schedule for Easgd {
    fn due(&self, since: Since, _at: Position) -> Due {
        let push = since.push >= self.n_push;
        Due { push, fetch: push || since.fetch >= self.n_fetch }
    }

    fn weight(&self, _since: &Since, _minibatch: u32) -> f32 {
        self.weight
    }

    fn set_workers(&mut self, workers: u32) {
        self.weight = pull(workers);
    }

    fn bound(&self, at: Position) -> Option<Vec<Position>> {
        self.staleness.bound(at)
    }

    fn coupling(&self) -> Coupling {
        Coupling::Elastic
    }
}
