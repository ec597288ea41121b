//! Model checking of leases and log: every interleaving of a few workers, a step of the store at a time.
//!
//! What is checked is what runs: [`FarEnd`](super::FarEnd) with its requests, [`Folded`], `Replica`, and the rules of
//! the store in memory, which are those of Redis' scripts and streams. The model's own are the loop around them
//! (train, push and fetch, take in) and the steps that a Redis makes of a call (`stepped`).
//!
//! Workers stop at any point for good, or for as long as somebody else takes over: whether one died or only sleeps is
//! the same to the others. A lease ends whenever it may, an answer is lost and the call made again, a successor
//! comes, whoever is at it folds a snapshot and trims, and a store comes back without what it wrote last.
//!
//! Minibatch i of worker w adds 1 to a parameter of its own, and the process' number to another. So parameters tell
//! what counts, how often, and by whom.
//!
//! In every state that can be reached ([`check`](properties::check)):
//! 1. each stream's names ascend, and each entry names the one before it;
//! 2. snapshot + log have each minibatch before a worker's position once, and none after it;
//! 3. a push that was acknowledged is in them, unless the store lost it;
//! 4. between two requests a worker's base is what its vector says;
//! 5. a worker that is left alone has, after two looks, the sum of all, or knows that it is replaced (where fetches
//!    bring snapshots, it has that of the newest one);
//! 6. a reader for whom entries are kept misses none;
//! 7. if everybody stops there, successors bring the run to its end, with every minibatch counted once.
//!
//! That this can fail is tried as well: with each rule of the protocol broken ([`Broken`]) a way to a wrong state is
//! found.

mod explorer;
mod process;
mod properties;
mod stepped;
mod system;
mod tests;

use crate::store::RunKeys;

/// How much is explored.
#[derive(Clone, Copy, Debug)]
struct Size {
    workers: u32,
    /// Of each worker.
    minibatches: u32,
    /// Processes that may come to take over.
    successors: usize,
    /// Answers that may be lost.
    lost_answers: u8,
    /// Snapshots that may be written.
    snapshots: u8,
    /// Whether a reader registers for whom entries are kept.
    reader: bool,
    /// How often the store may come back without its last write, or its last two.
    restarts: u8,
    /// Whether fetches bring snapshots, not entries.
    fetch_snapshots: bool,
}

impl Size {
    /// One worker, which may be replaced.
    const ALONE: Self = Self { workers: 1, ..Self::SMALL };

    /// Two workers, one of which may be replaced.
    const SMALL: Self = Self {
        workers: 2,
        minibatches: 1,
        successors: 1,
        lost_answers: 0,
        snapshots: 0,
        reader: false,
        restarts: 0,
        fetch_snapshots: false,
    };

    fn rows(&self) -> Vec<(usize, usize)> {
        vec![(2, (self.workers * self.minibatches) as usize)]
    }

    /// The parameter of a minibatch.
    fn parameter(&self, worker: u32, minibatch: u32) -> usize {
        (worker * self.minibatches + minibatch) as usize
    }
}

/// A rule of the protocol that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    /// The store takes entries of whoever was replaced.
    NoFence,
    /// A push whose answer was lost is sent again under another name.
    NewNameForRetry,
    /// Nobody looks whether an entry follows the one before.
    NoGaps,
    /// Trimming does not wait for readers.
    ReadersUnheeded,
    /// After a restart nobody asks whether the store has all that it had.
    NoComparison,
    /// Nor whether it has the worker's own claim.
    ClaimUnknown,
    /// Tokens do not grow with time, but by one.
    TokensWithoutTime,
}

fn run() -> RunKeys {
    RunKeys::new("model").unwrap()
}
