//! Synchronous parameter averaging, weighted by samples (McDonald, Hall and Mann 2010: "Distributed
//! training strategies for the structured perceptron"; local SGD).
//!
//! Round k of an epoch is the minibatches from number k·n to (k + 1)·n of each worker's own. All begin it
//! with the same parameters; a worker's difference counts its share of the round's samples, so the sum of
//! the differences leads to the weighted mean of the workers' parameters. Where an epoch gives a worker
//! fewer minibatches, its last round ends at the epoch's end: it stands there already while the others go
//! through the rounds that are left, and nobody waits for it.

use super::{Due, Schedule, Since};
use crate::downpour::partition::Partition;
use crate::store::Position;

pub(super) struct Average {
    /// Minibatches of a round.
    length: u32,
    partition: Partition,
    worker: u32,
}

impl Average {
    pub(super) fn new(length: u32, partition: Partition, worker: u32) -> Self {
        Self { length, partition, worker }
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

impl Schedule for Average {
    /// The epoch's last push is the flush.
    fn due(&self, _since: Since, at: Position) -> Due {
        let ends = at.minibatch.is_multiple_of(self.length) && at.minibatch < self.partition.own(self.worker);
        Due { push: ends, fetch: ends }
    }

    fn weight(&self, samples: u64, minibatch: u32) -> f32 {
        let start = minibatch - minibatch % self.length;
        let all = self.partition.samples(start..start.saturating_add(self.length));
        (samples as f64 / all.max(1) as f64) as f32
    }

    fn awaited(&self, at: Position) -> Option<Vec<Position>> {
        let begun = at.minibatch - at.minibatch % self.length;
        Some((0..self.partition.workers()).map(|worker| self.end(worker, at.epoch, begun)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u32, minibatch: u32) -> Position {
        Position { epoch, minibatch }
    }

    #[test]
    fn weights_of_a_round_add_up_to_one() {
        // 7 minibatches, the last of 5 samples: 3, 2 and 2 for three workers, in rounds of 2.
        let partition = Partition::new(65, 10, 3);
        let weight =
            |worker, samples, minibatch| Average::new(2, partition, worker).weight(samples, minibatch);
        let sum: f32 = (0..3).map(|worker| weight(worker, 20, 1)).sum();
        assert!((sum - 1.0).abs() < 1e-6);
        assert_eq!(weight(0, 5, 2), 1.0, "alone in the last round");
        // Half a round, then the other half.
        assert!((weight(1, 10, 0) + weight(1, 10, 1) - weight(1, 20, 1)).abs() < 1e-6);
        assert_eq!(weight(2, 0, 0), 0.0);
    }

    #[test]
    fn nobody_waits_for_a_worker_that_has_nothing_left() {
        let average = Average::new(2, Partition::new(65, 10, 3), 0);
        assert_eq!(average.awaited(at(4, 0)), Some(vec![at(4, 0); 3]));
        assert_eq!(average.awaited(at(4, 1)), Some(vec![at(4, 0); 3]), "in the middle of a round");
        assert_eq!(average.awaited(at(4, 2)), Some(vec![at(4, 2), at(5, 0), at(5, 0)]));
        let idle = Average::new(2, Partition::new(5, 10, 3), 0);
        assert_eq!(idle.awaited(at(0, 0)), Some(vec![at(0, 0); 3]), "also for workers without any");
    }

    #[test]
    fn a_round_ends_with_a_push_and_the_epoch_with_the_flush_alone() {
        let average = Average::new(2, Partition::new(60, 10, 1), 0);
        let due: Vec<_> =
            (1..=6).map(|minibatch| average.due(Since::default(), at(0, minibatch)).push).collect();
        assert_eq!(due, [false, true, false, true, false, false]);
    }
}
