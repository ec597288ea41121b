//! Downpour SGD (Dean et al. 2012): pushes and fetches in a rhythm of one's own.

use super::{Due, Schedule, Since};
use crate::downpour::config::RunConfig;
use crate::store::Position;

pub(super) struct Downpour {
    n_push: u32,
    n_fetch: u32,
    weight: f32,
}

impl Downpour {
    pub(super) fn new(config: &RunConfig, workers: u32) -> Self {
        let weight = config.combine.factor(workers);
        Self { n_push: config.n_push, n_fetch: config.n_fetch, weight }
    }
}

impl Schedule for Downpour {
    fn due(&self, since: Since, _at: Position) -> Due {
        Due { push: since.push >= self.n_push, fetch: since.fetch >= self.n_fetch }
    }

    fn weight(&self, _samples: u64, _minibatch: u32) -> f32 {
        self.weight
    }

    fn awaited(&self, _at: Position) -> Option<Vec<Position>> {
        None
    }
}
