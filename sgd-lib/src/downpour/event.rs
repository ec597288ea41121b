//! What is told of a run while it goes on.

use serde::{Deserialize, Serialize};

/// One entry of a run's stream of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A worker begins, or goes on where another stopped.
    Started {
        /// Its number.
        worker: u32,
        /// The machine it runs on.
        node: String,
        /// The replica it runs in.
        pod: String,
        /// Whether somebody trained its shard before.
        resumed: bool,
        /// Whether that one left by plan: each invocation does one epoch.
        planned: bool,
    },
    /// A worker is on its way.
    Progress {
        /// Its number.
        worker: u32,
        /// Its epoch, counted from 0.
        epoch: u32,
        /// Share of that epoch's minibatches that are done, 0 to 1.
        share: f32,
        /// Samples computed so far, predecessors' included.
        samples: u64,
        /// Samples per second since the last such event.
        samples_per_s: f32,
        /// Mean loss per sample since the last such event.
        loss: f32,
        /// Mean staleness of its pushes so far.
        staleness: f32,
    },
    /// The parameters were tried on test images.
    Evaluated {
        /// By whom.
        worker: u32,
        /// Images tried.
        images: u32,
        /// Share that was classified rightly.
        accuracy: f32,
        /// Whether these were all test images.
        whole: bool,
    },
    /// A worker is done.
    Left {
        /// Its number.
        worker: u32,
        /// Why, in words.
        why: String,
    },
}
