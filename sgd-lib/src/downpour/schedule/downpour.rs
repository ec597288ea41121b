//! Downpour SGD (Dean et al. 2012): pushes and fetches in a rhythm of one's own.

use super::{Due, Schedule, Since, Staleness};
use crate::downpour::config::{Combine, RunConfig, StalenessLr};
use crate::store::Position;

pub(super) struct Downpour {
    n_push: u32,
    n_fetch: u32,
    combine: Combine,
    weight: f32,
    divide: bool,
    staleness: Staleness,
}

impl Downpour {
    pub(super) fn new(config: &RunConfig, workers: u32, staleness: Staleness) -> Self {
        let (n_push, n_fetch) = (config.n_push, config.n_fetch);
        let divide = config.staleness_lr == StalenessLr::Divide;
        let combine = config.combine;
        Self { n_push, n_fetch, combine, weight: combine.factor(workers), divide, staleness }
    }
}

impl Schedule for Downpour {
    fn due(&self, since: Since, _at: Position) -> Due {
        Due { push: since.push >= self.n_push, fetch: since.fetch >= self.n_fetch }
    }

    /// Divided by staleness: 1 / τ (Zhang et al. 2016: "Staleness-aware async-SGD for distributed deep
    /// learning", equation 3) where pushes count whole. Where each of M counts 1/M, M of them are one update, and
    /// staleness is counted in these. A minibatch's rate and its part of a push are the same factor.
    fn weight(&self, since: &Since, _minibatch: u32) -> f32 {
        let updates = if self.divide { self.weight * since.staleness() } else { 0.0 };
        self.weight / updates.max(1.0)
    }

    fn set_workers(&mut self, workers: u32) {
        self.weight = self.combine.factor(workers);
    }

    fn bound(&self, at: Position) -> Option<Vec<Position>> {
        self.staleness.bound(at)
    }

    fn measures_staleness(&self) -> bool {
        self.divide
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downpour::config::{Combine, DataRef};
    use crate::downpour::partition::Partition;
    use crate::downpour::schedule::rounds::Rounds;
    use crate::network::Architecture;

    fn schedule(combine: Combine, staleness_lr: StalenessLr) -> Downpour {
        let network = Architecture::new(2, &[], 2).unwrap();
        let config = RunConfig { combine, staleness_lr, ..RunConfig::new(DataRef::named("test"), network) };
        let rounds = Rounds::new(config.n_push, Partition::new(100, 10, 4), 0);
        Downpour::new(&config, 4, Staleness::new(None, rounds))
    }

    /// A push of four minibatches, `pushes` by others after each of them.
    fn since(pushes: [u64; 4]) -> Since {
        let mut since = Since::default();
        for pushes in pushes {
            since.push += 1;
            since.miss(pushes);
        }
        since
    }

    #[test]
    fn a_push_is_divided_by_its_staleness() {
        for (pushes, staleness) in
            [([0, 0, 0, 0], 0.0), ([0, 0, 0, 8], 8.0), ([8, 0, 0, 0], 2.0), ([4, 4, 4, 4], 10.0)]
        {
            let since = since(pushes);
            assert_eq!(since.staleness(), staleness, "{pushes:?}");
            let weight = |combine, lr| schedule(combine, lr).weight(&since, 0);
            assert_eq!(weight(Combine::Sum, StalenessLr::Divide), 1.0 / staleness.max(1.0), "{pushes:?}");
            // Of four workers' pushes each counts a quarter, and four are an update.
            assert_eq!(weight(Combine::Mean, StalenessLr::Divide), 0.25 / (staleness / 4.0).max(1.0));
            assert_eq!(weight(Combine::Mean, StalenessLr::Keep), 0.25);
            assert_eq!(weight(Combine::Sum, StalenessLr::Keep), 1.0);
        }
    }
}
