//! The order in which an epoch visits its samples.

use rand_xoshiro::{
    Xoshiro256PlusPlus,
    rand_core::{Rng, SeedableRng},
};

/// A permutation of sample indexes, given by seed and epoch alone. The buffer is used again each epoch.
#[derive(Clone, Debug)]
pub struct EpochOrder {
    indexes: Vec<u32>,
}

impl EpochOrder {
    /// The order as stored, of `samples` samples (at most `u32::MAX`; a data set never holds as many).
    pub fn new(samples: usize) -> Self {
        Self { indexes: (0..u32::try_from(samples).unwrap_or(u32::MAX)).collect() }
    }

    /// Draws the order of an epoch. It does not depend on the orders drawn before, so a worker that
    /// takes over in the middle of a run goes on in the same order.
    pub fn shuffle(&mut self, seed: u64, epoch: u32) {
        for (index, slot) in (0..).zip(&mut self.indexes) {
            *slot = index;
        }
        // A seed and an epoch must not give what another seed gives in another epoch:
        // the epoch is added to a number drawn from the seed, not to the seed.
        let base = Xoshiro256PlusPlus::seed_from_u64(seed).next_u64();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(base.wrapping_add(epoch.into()));
        for last in (1..self.indexes.len()).rev() {
            // Multiply-shift; its bias is below 2⁻³² for any number of samples.
            let product = u128::from(random.next_u64()) * (last as u128 + 1);
            self.indexes.swap(last, (product >> 64) as usize);
        }
    }

    /// Number of minibatches in an epoch; the last one may be smaller. 0 for a batch size of 0.
    pub fn minibatches(&self, batch_size: usize) -> usize {
        if batch_size == 0 { 0 } else { self.indexes.len().div_ceil(batch_size) }
    }

    /// The sample indexes of one minibatch; empty past the last one.
    pub fn minibatch(&self, index: usize, batch_size: usize) -> &[u32] {
        let samples = self.indexes.len();
        let start = index.saturating_mul(batch_size).min(samples);
        &self.indexes[start..start.saturating_add(batch_size).min(samples)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shuffled(samples: usize, seed: u64, epoch: u32) -> Vec<u32> {
        let mut order = EpochOrder::new(samples);
        order.shuffle(seed, epoch);
        order.indexes
    }

    #[test]
    fn an_epoch_visits_every_sample_once() {
        let mut order = EpochOrder::new(1003);
        order.shuffle(7, 3);
        let mut visited: Vec<u32> =
            (0..order.minibatches(32)).flat_map(|index| order.minibatch(index, 32).to_vec()).collect();
        assert_ne!(visited, (0..1003).collect::<Vec<_>>());
        visited.sort_unstable();
        assert_eq!(visited, (0..1003).collect::<Vec<_>>());
        assert_eq!(order.minibatches(32), 32);
        assert_eq!(order.minibatch(31, 32).len(), 1003 - 31 * 32);
        assert!(order.minibatch(32, 32).is_empty());
    }

    #[test]
    fn seed_and_epoch_alone_decide() {
        let mut order = EpochOrder::new(100);
        order.shuffle(1, 0);
        order.shuffle(1, 5);
        assert_eq!(order.indexes, shuffled(100, 1, 5));
        let others = [shuffled(100, 1, 4), shuffled(100, 2, 4), shuffled(100, 2, 5), shuffled(100, 0, 6)];
        assert!(others.iter().all(|other| *other != order.indexes));
    }

    #[test]
    fn the_order_is_the_same_on_every_machine() {
        assert_eq!(shuffled(8, 1, 0), GOLDEN);
    }

    const GOLDEN: [u32; 8] = [2, 6, 3, 7, 4, 5, 0, 1];

    #[test]
    fn nothing_to_visit() {
        let mut order = EpochOrder::new(0);
        order.shuffle(1, 1);
        assert_eq!(order.minibatches(32), 0);
        assert!(order.minibatch(0, 32).is_empty() && EpochOrder::new(5).minibatches(0) == 0);
    }
}
