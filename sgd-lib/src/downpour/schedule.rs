//! When workers push and fetch, what a push counts, and who waits for whom.
//!
//! Whatever the algorithm, a worker sends differences and the parameters are the sum of all that were
//! sent: so snapshots, takeovers and evaluation are the same for each. An algorithm is a [`Schedule`].

mod average;
mod downpour;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::config::RunConfig;
use super::partition::Partition;
use crate::store::Position;

/// How workers train together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Downpour SGD: nobody waits for anybody.
    Downpour,
    /// Synchronous averaging of the parameters, weighted by samples: after `n_push` minibatches, and at
    /// an epoch's end, everybody waits for everybody, and all go on from the same parameters.
    Average,
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Downpour => "downpour",
            Self::Average => "average",
        })
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "downpour" => Ok(Self::Downpour),
            "average" => Ok(Self::Average),
            other => Err(format!("{other:?} is no algorithm; wanted is downpour or average")),
        }
    }
}

impl Algorithm {
    /// The schedule of one worker.
    pub(super) fn schedule(self, config: &RunConfig, partition: Partition, worker: u32) -> Box<dyn Schedule> {
        match self {
            Self::Downpour => Box::new(downpour::Downpour::new(config, partition.workers())),
            Self::Average => Box::new(average::Average::new(config.n_push, partition, worker)),
        }
    }
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

    /// What a difference counts in the sum of all: `samples` went into it, the last of them from number
    /// `minibatch` of the worker's own minibatches of an epoch.
    fn weight(&self, samples: u64, minibatch: u32) -> f32;

    /// Where each worker has to stand before this one may go on from `at`; only what was pushed up to
    /// there is folded in. `None` where nobody waits: then everything is folded in as it comes.
    fn awaited(&self, at: Position) -> Option<Vec<Position>>;

    /// Whether [`Schedule::awaited`] ever awaits anybody. Then a worker's own push comes back with the
    /// others', and is added in the same order by everybody.
    fn is_synchronous(&self) -> bool {
        self.awaited(Position::default()).is_some()
    }
}
