//! Whose minibatch is whose, from outside: to check that a log counts each of them once.

use super::log::LogError;
use super::partition::Partition;
use super::relief::Relief;
use super::run::Run;
use crate::store::Position;

/// How the minibatches of a run are divided among its workers, with what slow ones gave to others.
#[derive(Clone, Debug)]
pub struct Division {
    partition: Partition,
    relief: Relief,
    epochs: u32,
}

impl Run {
    /// How its minibatches are divided, as it stands in the store.
    ///
    /// # Errors
    /// The store fails, or holds something that does not decode, or the run's workers come and go.
    pub fn division(&self) -> Result<Division, LogError> {
        let store = &**self.store();
        let config = self.config();
        if config.is_elastic() {
            return Err(LogError::Undivided { run: self.name().to_owned() });
        }
        let workers = store.control(self.keys())?.workers.unwrap_or(config.workers);
        let images = usize::try_from(config.data.train_images).unwrap_or(usize::MAX);
        Ok(Division {
            partition: Partition::new(images, config.batch_size, workers),
            relief: Relief::read(store, self.keys())?.value,
            epochs: config.epochs,
        })
    }
}

impl Division {
    /// Workers of the run.
    pub fn workers(&self) -> u32 {
        self.partition.workers()
    }

    /// Minibatches of an epoch.
    pub fn minibatches_per_epoch(&self) -> u32 {
        (0..self.workers()).map(|worker| self.partition.own(worker)).sum()
    }

    /// Which minibatches `worker` does on its way from one position to another, its own and what it was given:
    /// epoch, and number within the epoch.
    pub fn between(&self, worker: u32, from: Position, to: Position) -> Vec<(u32, u32)> {
        let partition = self.partition;
        let own = partition.between(worker, from, to.min(self.relief.end(worker, self.epochs)));
        let own = (0..own).map(|number| (worker, partition.after(worker, from, number)));
        // Behind its last epoch a position counts what the worker was given.
        let behind = |at: Position| if at.epoch >= self.epochs { at.minibatch } else { 0 };
        let given =
            (behind(from)..behind(to)).filter_map(|number| self.relief.given(worker, number, partition));
        own.chain(given).map(|(whose, at)| (at.epoch, partition.index(whose, at.minibatch))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_together_do_each_minibatch_once_whatever_was_given_away() {
        let at = |epoch, minibatch| Position { epoch, minibatch };
        let (partition, epochs) = (Partition::new(649, 10, 3), 3);
        let mut relief = Relief::default();
        for (worker, idle, from) in [(0, [1, 2].as_slice(), at(0, 1)), (2, &[1], at(2, 0))] {
            assert!(relief.give(worker, idle, from, partition, epochs));
        }
        let division = Division { partition, relief: relief.clone(), epochs };
        let mut done = Vec::new();
        for worker in 0..3 {
            // In steps, as pushes are; the last goes over the end of what is its own.
            let last = relief.last(worker, epochs);
            let ways = [at(0, 0), at(0, 7), at(1, 0), at(3, 0), at(3, last.minibatch / 2), last];
            for way in ways.windows(2) {
                done.extend(division.between(worker, way[0], way[1]));
            }
        }
        done.sort_unstable();
        let all: Vec<_> = (0..3).flat_map(|epoch| (0..65).map(move |number| (epoch, number))).collect();
        assert_eq!(done, all);
    }
}
