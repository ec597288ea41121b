//! Rounds: n of each worker's own minibatches, after which workers may look how far the others are.
//!
//! Round k of an epoch is the minibatches from number k·n to (k + 1)·n of each worker's own. Where an epoch
//! gives a worker fewer minibatches, its last round ends at the epoch's end: it stands there already while
//! the others go through the rounds that are left, and nobody waits for it.

use crate::downpour::partition::Partition;
use crate::store::Position;

/// Rounds of one length, as one worker sees them.
pub(super) struct Rounds {
    /// Minibatches of a round.
    length: u32,
    partition: Partition,
    worker: u32,
}

impl Rounds {
    pub(super) fn new(length: u32, partition: Partition, worker: u32) -> Self {
        Self { length, partition, worker }
    }

    /// Whether a round ends at `at` that the epoch does not end with.
    pub(super) fn end_at(&self, at: Position) -> bool {
        at.minibatch.is_multiple_of(self.length) && at.minibatch < self.partition.own(self.worker)
    }

    /// The share of `samples` of those of the round that the worker's minibatch number `minibatch` belongs to.
    pub(super) fn share(&self, samples: u64, minibatch: u32) -> f32 {
        let start = minibatch - minibatch % self.length;
        let all = self.partition.samples(start..start.saturating_add(self.length));
        (samples as f64 / all.max(1) as f64) as f32
    }

    /// Where each worker has to stand that has done all that comes before the round that goes on at `at`.
    pub(super) fn before(&self, at: Position) -> Vec<Position> {
        let begun = at.minibatch - at.minibatch % self.length;
        (0..self.partition.workers()).map(|worker| self.end(worker, at.epoch, begun)).collect()
    }

    /// The same, `rounds` rounds earlier.
    pub(super) fn behind(&self, at: Position, rounds: u32) -> Vec<Position> {
        let per_epoch = u64::from(self.partition.own(0).div_ceil(self.length).max(1));
        let done = u64::from(at.epoch) * per_epoch + u64::from(at.minibatch / self.length);
        let wanted = done.saturating_sub(rounds.into());
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let minibatch = narrow(wanted % per_epoch).saturating_mul(self.length);
        self.before(Position { epoch: narrow(wanted / per_epoch), minibatch })
    }

    /// Where `worker` stands when it has finished the minibatches below number `minibatch` of its own.
    fn end(&self, worker: u32, epoch: u32, minibatch: u32) -> Position {
        if minibatch > 0 && minibatch >= self.partition.own(worker) {
            Position { epoch: epoch + 1, minibatch: 0 }
        } else {
            Position { epoch, minibatch }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u32, minibatch: u32) -> Position {
        Position { epoch, minibatch }
    }

    #[test]
    fn shares_of_a_round_add_up_to_one() {
        // 7 minibatches, the last of 5 samples: 3, 2 and 2 for three workers, in rounds of 2.
        let partition = Partition::new(65, 10, 3);
        let share = |worker, samples, minibatch| Rounds::new(2, partition, worker).share(samples, minibatch);
        let sum: f32 = (0..3).map(|worker| share(worker, 20, 1)).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert_eq!(share(0, 5, 2), 1.0, "alone in the last round");
        // Half a round, then the other half.
        assert!((share(1, 10, 0) + share(1, 10, 1) - share(1, 20, 1)).abs() < 1e-6);
        assert_eq!(share(2, 0, 0), 0.0);
    }

    #[test]
    fn nobody_waits_for_a_worker_that_has_nothing_left() {
        let rounds = Rounds::new(2, Partition::new(65, 10, 3), 0);
        assert_eq!(rounds.before(at(4, 0)), vec![at(4, 0); 3]);
        assert_eq!(rounds.before(at(4, 1)), vec![at(4, 0); 3], "in the middle of a round");
        assert_eq!(rounds.before(at(4, 2)), vec![at(4, 2), at(5, 0), at(5, 0)]);
        let idle = Rounds::new(2, Partition::new(5, 10, 3), 0);
        assert_eq!(idle.before(at(0, 0)), vec![at(0, 0); 3], "also for workers without any");
    }

    #[test]
    fn rounds_are_counted_back_across_epochs() {
        // 3, 2 and 2 minibatches in rounds of 2: an epoch is two rounds.
        let rounds = Rounds::new(2, Partition::new(65, 10, 3), 0);
        assert_eq!(rounds.behind(at(4, 2), 0), rounds.before(at(4, 2)));
        assert_eq!(rounds.behind(at(4, 2), 1), vec![at(4, 0); 3]);
        assert_eq!(rounds.behind(at(4, 1), 1), vec![at(3, 2), at(4, 0), at(4, 0)]);
        assert_eq!(rounds.behind(at(4, 0), 2), vec![at(3, 0); 3]);
        assert_eq!(rounds.behind(at(0, 2), 7), vec![at(0, 0); 3], "nobody stands before the beginning");
        assert_eq!(rounds.behind(at(1, 0), u32::MAX), vec![at(0, 0); 3]);
    }

    #[test]
    fn a_round_ends_with_a_push_and_the_epoch_with_the_flush_alone() {
        let rounds = Rounds::new(2, Partition::new(60, 10, 1), 0);
        let ends: Vec<_> = (1..=6).map(|minibatch| rounds.end_at(at(0, minibatch))).collect();
        assert_eq!(ends, [false, true, false, true, false, false]);
    }
}
