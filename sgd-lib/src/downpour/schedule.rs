//! When workers push and fetch, what a push counts, and who waits for whom.
//!
//! Whatever the algorithm, a worker sends differences and the parameters are the sum of all that were
//! sent: so snapshots, takeovers and evaluation are the same for each. An algorithm is a [`Schedule`].

mod average;
mod diloco;
mod downpour;
mod easgd;
mod rounds;
mod staleness;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::config::RunConfig;
use super::partition::Partition;
use crate::store::Position;
use rounds::Rounds;
use staleness::Staleness;

/// How workers train together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Downpour SGD: nobody waits for anybody.
    Downpour,
    /// Synchronous averaging of the parameters, weighted by samples: after `n_push` minibatches, and at
    /// an epoch's end, everybody waits for everybody, and all go on from the same parameters.
    Average,
    /// Asynchronous elastic averaging: workers keep parameters of their own, and every `n_push` minibatches
    /// each and the centre are drawn together.
    Easgd,
    /// Rounds of `n_push` minibatches as those of `average`, and a step with Nesterov momentum along the mean.
    Diloco,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Downpour, Self::Average, Self::Easgd, Self::Diloco];

    fn name(self) -> &'static str {
        match self {
            Self::Downpour => "downpour",
            Self::Average => "average",
            Self::Easgd => "easgd",
            Self::Diloco => "diloco",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|algorithm| algorithm.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is no algorithm; wanted is one of {names}")
        })
    }
}

impl Algorithm {
    /// Whether everybody waits for everybody at the end of each round.
    pub fn is_synchronous(self) -> bool {
        matches!(self, Self::Average | Self::Diloco)
    }

    /// Values that a worker remembers for each parameter, beside the optimizer's.
    pub fn memory_per_parameter(self) -> usize {
        match self {
            Self::Downpour | Self::Average => 0,
            Self::Easgd | Self::Diloco => 1,
        }
    }

    /// The schedule of one worker.
    pub(super) fn schedule(self, config: &RunConfig, partition: Partition, worker: u32) -> Box<dyn Schedule> {
        let rounds = Rounds::new(config.n_push, partition, worker);
        let workers = partition.workers();
        match self {
            Self::Downpour => {
                let staleness = Staleness::new(config.max_staleness, rounds);
                Box::new(downpour::Downpour::new(config, workers, staleness))
            }
            Self::Average => Box::new(average::Average::new(rounds, config.n_fetch)),
            Self::Easgd => {
                let staleness = Staleness::new(config.max_staleness, rounds);
                Box::new(easgd::Easgd::new(config, workers, staleness))
            }
            Self::Diloco => {
                Box::new(diloco::Diloco::new(rounds, config.n_fetch, config.architecture.parameter_count()))
            }
        }
    }
}

/// How a worker's θ hangs together with base, the sum of what was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coupling {
    /// θ is base and what is not pushed yet.
    Follows,
    /// The same, and a push comes back with those of the others, and is added in the same order by all.
    ComesBack,
    /// θ keeps a distance from base, and a push takes from it what it adds to base.
    Elastic,
}

/// What a worker did since it last talked to the others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Since {
    /// Minibatches since its last push…
    pub(super) push: u32,
    /// … their samples…
    pub(super) samples: u64,
    /// … and minibatches since its last fetch.
    pub(super) fetch: u32,
    /// Sum over the minibatches since its last push of the others' pushes that came after each.
    pub(super) missed: u64,
}

impl Since {
    /// The others pushed this often since the last minibatch.
    pub(super) fn miss(&mut self, pushes: u64) {
        self.missed += pushes * u64::from(self.push);
    }

    /// Pushes by others that the next push has not seen: the mean over its minibatches.
    pub(super) fn staleness(&self) -> f32 {
        self.missed as f32 / self.push.max(1) as f32
    }
}

/// What has to be done after a minibatch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) push: bool,
    pub(super) fetch: bool,
}

/// An algorithm, as one worker follows it. At an epoch's end every worker pushes and fetches anyway.
pub(super) trait Schedule: Send {
    /// What is due where the worker stands at `at`, in the middle of an epoch or at its end.
    fn due(&self, since: Since, at: Position) -> Due;

    /// What a difference counts in the sum of all, the last of whose minibatches is number `minibatch` of the
    /// worker's own minibatches of an epoch.
    fn weight(&self, since: &Since, minibatch: u32) -> f32;

    /// So many workers take part from now on. Where workers wait for one another that never changes.
    fn set_workers(&mut self, _workers: u32) {}

    /// Where each worker has to stand before this one may go on from `at`; only what was pushed up to
    /// there is folded in. `None` where nobody waits: then everything is folded in as it comes.
    fn awaited(&self, _at: Position) -> Option<Vec<Position>> {
        None
    }

    /// Where each other worker has to stand at least before this one may go on from `at`, whatever is folded
    /// in. `None`: anywhere.
    fn bound(&self, _at: Position) -> Option<Vec<Position>> {
        None
    }

    /// Whether [`Schedule::awaited`] ever awaits anybody.
    fn is_synchronous(&self) -> bool {
        self.coupling() == Coupling::ComesBack
    }

    /// How θ hangs together with base.
    fn coupling(&self) -> Coupling {
        Coupling::Follows
    }

    /// Whether [`Schedule::weight`] has to know what the others pushed up to the push.
    fn measures_staleness(&self) -> bool {
        false
    }

    /// Makes of θ, which `since` moved away from `base`, where the outer optimizer moves it instead. The worker
    /// stands at `at`; the last minibatch was number `minibatch` of its own.
    fn outer_step(
        &mut self,
        _since: &Since,
        _at: Position,
        _minibatch: u32,
        _base: &[f32],
        _theta: &mut [f32],
    ) {
    }

    /// What the outer optimizer remembers, for a successor to take up.
    fn memory_mut(&mut self) -> &mut [f32] {
        &mut []
    }
}
