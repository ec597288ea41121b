//! How an epoch's minibatches are divided among the workers.

use std::ops::Range;

use crate::store::Position;

/// Minibatch i of an epoch belongs to worker i mod M: each to exactly one. All epochs are divided alike,
/// so every worker knows what the others have to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partition {
    /// Samples of an epoch.
    samples: u64,
    batch_size: u32,
    workers: u32,
}

impl Partition {
    pub(super) fn new(samples: usize, batch_size: u32, workers: u32) -> Self {
        Self { samples: samples as u64, batch_size, workers }
    }

    /// The number of workers.
    pub(super) fn workers(self) -> u32 {
        self.workers
    }

    /// How many minibatches of an epoch are `worker`'s.
    pub(super) fn own(self, worker: u32) -> u32 {
        let total = self.samples.div_ceil(u64::from(self.batch_size));
        let own = total.saturating_sub(u64::from(worker)).div_ceil(u64::from(self.workers));
        u32::try_from(own).unwrap_or(u32::MAX)
    }

    /// Which minibatch of the epoch is number `minibatch` of `worker`'s own.
    pub(super) fn index(self, worker: u32, minibatch: u32) -> u32 {
        worker + minibatch * self.workers
    }

    /// How many of `worker`'s own minibatches lie between two positions.
    pub(super) fn between(self, worker: u32, from: Position, to: Position) -> u64 {
        let own = u64::from(self.own(worker));
        let number = |at: Position| u64::from(at.epoch) * own + u64::from(at.minibatch);
        number(to).saturating_sub(number(from))
    }

    /// The position `minibatches` of `worker`'s own minibatches after `from`.
    pub(super) fn after(self, worker: u32, from: Position, minibatches: u64) -> Position {
        let own = u64::from(self.own(worker)).max(1);
        let number = u64::from(from.epoch) * own + u64::from(from.minibatch) + minibatches;
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Position { epoch: narrow(number / own), minibatch: narrow(number % own) }
    }

    /// Samples of the minibatches that all workers have under these numbers: these follow one another.
    pub(super) fn samples(self, numbers: Range<u32>) -> u64 {
        let before = |number: u32| {
            let minibatches = u64::from(number).saturating_mul(u64::from(self.workers));
            minibatches.saturating_mul(u64::from(self.batch_size)).min(self.samples)
        };
        before(numbers.end) - before(numbers.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_minibatch_is_somebodys() {
        for (samples, batch_size, workers) in [(100, 10, 3), (101, 10, 4), (5, 10, 6), (60, 10, 6), (0, 1, 2)]
        {
            let partition = Partition::new(samples, batch_size, workers);
            let indexes = (0..workers)
                .flat_map(|worker| (0..partition.own(worker)).map(move |own| partition.index(worker, own)));
            let mut indexes: Vec<_> = indexes.collect();
            indexes.sort_unstable();
            let total = samples.div_ceil(batch_size as usize) as u32;
            assert_eq!(indexes, (0..total).collect::<Vec<_>>(), "{samples} / {batch_size} / {workers}");
        }
    }

    #[test]
    fn positions_are_counted_across_epochs() {
        let (partition, at) = (Partition::new(65, 10, 3), |epoch, minibatch| Position { epoch, minibatch });
        assert_eq!(partition.after(0, at(0, 2), 5), at(2, 1));
        assert_eq!(partition.after(1, at(0, 1), 1), at(1, 0));
        assert_eq!(partition.between(0, at(0, 2), at(2, 1)), 5);
        assert_eq!(partition.between(0, at(2, 1), at(0, 2)), 0);
    }

    #[test]
    fn samples_of_a_round_are_those_of_all_workers() {
        let partition = Partition::new(101, 10, 4);
        assert_eq!(partition.samples(0..2), 80);
        assert_eq!(partition.samples(2..4), 21);
        assert_eq!(partition.samples(3..9), 0);
        assert_eq!(partition.samples(0..u32::MAX), 101);
    }
}
