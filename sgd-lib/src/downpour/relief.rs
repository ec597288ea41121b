//! Who does whose minibatches, where a worker that is slower than the others gives some of its own away.
//!
//! A worker that sees another at the end of the run's last epoch, with nothing left to do, gives it the rear
//! part of what it has left: an equal part for each that is idle and for itself. It does so again as soon as
//! somebody is idle again, so all come to the end at about the same time, however slow one is.
//!
//! One value in the store says who has to do what; it is changed by compare-and-set. A worker decides for its
//! own shard alone, and only of minibatches that it has not begun. A worker that goes on where another
//! stopped first writes its lease's token there: so its predecessor, should it still be alive, can't give anything
//! away that the new one does not know of. What a worker was given it does after its last epoch, and its position
//! there counts these minibatches. So each minibatch is counted once, and a successor knows from the log what is left.
//!
//! Where nobody gives anything away, which is always so on one worker, nothing of this has any effect.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::partition::Partition;
use crate::state::{self, StateError, Versioned};
use crate::store::{Position, RUN_TTL, RunKeys, Store};

/// Fewer minibatches are done sooner than they are given away.
const LEAST: u32 = 4;

/// What one worker gave to another of its own minibatches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Gift {
    from: u32,
    to: u32,
    begin: Position,
    minibatches: u32,
}

/// Everything that was given away, and who may give.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Relief {
    /// Of shards that changed hands, the newest holder's token.
    tokens: BTreeMap<u32, u64>,
    /// In the order in which they were given; those of one worker go from the rear to the front.
    gifts: Vec<Gift>,
}

impl Relief {
    /// What stands in the store.
    pub(super) fn read(store: &dyn Store, run: &RunKeys) -> Result<Versioned<Self>, StateError> {
        let found = state::get(store, &run.relief())?;
        Ok(found.unwrap_or(Versioned { value: Self::default(), version: 0 }))
    }

    /// Changes it, again and again until nobody writes in between; `change` says whether there is anything to
    /// write. Returns what stands then.
    pub(super) fn change(
        store: &dyn Store,
        run: &RunKeys,
        mut change: impl FnMut(&mut Self) -> bool,
    ) -> Result<Self, StateError> {
        loop {
            let Versioned { mut value, version } = Self::read(store, run)?;
            if !change(&mut value) {
                return Ok(value);
            }
            match state::put(store, &run.relief(), &value, version, Some(RUN_TTL)) {
                Ok(_) => return Ok(value),
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// From now on only the holder of the lease of this token, or of a later one, gives away what is `worker`'s.
    pub(super) fn take_over(&mut self, worker: u32, token: u64) -> bool {
        let known = self.tokens.entry(worker).or_default();
        let newer = *known < token;
        *known = (*known).max(token);
        newer
    }

    /// Whether this is `earlier`, or what became of it.
    pub(super) fn goes_on_from(&self, earlier: &Self) -> bool {
        let known =
            |(worker, token): (&u32, &u64)| self.tokens.get(worker).is_some_and(|found| found >= token);
        self.gifts.starts_with(&earlier.gifts) && earlier.tokens.iter().all(known)
    }

    /// Whether a later holder of the shard of `worker` has been there.
    pub(super) fn is_replaced(&self, worker: u32, token: u64) -> bool {
        self.tokens.get(&worker).is_some_and(|newest| *newest > token)
    }

    /// Where the part of its shard ends that `worker` does itself, of a run of so many epochs.
    pub(super) fn end(&self, worker: u32, epochs: u32) -> Position {
        let given = self.gifts.iter().filter(|gift| gift.from == worker);
        given.map(|gift| gift.begin).min().unwrap_or(Position { epoch: epochs, minibatch: 0 })
    }

    /// Where `worker` stands when it has nothing left to do: behind what others gave it.
    pub(super) fn last(&self, worker: u32, epochs: u32) -> Position {
        let given = self.gifts.iter().filter(|gift| gift.to == worker);
        Position { epoch: epochs, minibatch: given.map(|gift| gift.minibatches).sum() }
    }

    /// Whose minibatch, and which of its own, is number `number` of those that `worker` was given.
    pub(super) fn given(
        &self,
        worker: u32,
        mut number: u32,
        partition: Partition,
    ) -> Option<(u32, Position)> {
        for gift in self.gifts.iter().filter(|gift| gift.to == worker) {
            if number < gift.minibatches {
                return Some((gift.from, partition.after(gift.from, gift.begin, number.into())));
            }
            number -= gift.minibatches;
        }
        None
    }

    /// Gives to each of `idle` the same part of what `worker`, who stands at `at`, has left. False where it is
    /// too little to be divided.
    pub(super) fn give(
        &mut self,
        worker: u32,
        idle: &[u32],
        at: Position,
        partition: Partition,
        epochs: u32,
    ) -> bool {
        let left = partition.between(worker, at, self.end(worker, epochs));
        let part = left / (idle.len() as u64 + 1);
        // So many minibatches at once, and the rest later.
        let part = u32::try_from(part).unwrap_or(u32::MAX);
        if idle.is_empty() || part < LEAST {
            return false;
        }
        let mut end = left;
        for to in idle {
            end -= u64::from(part);
            let begin = partition.after(worker, at, end);
            self.gifts.push(Gift { from: worker, to: *to, begin, minibatches: part });
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    const EPOCHS: u32 = 3;

    fn at(epoch: u32, minibatch: u32) -> Position {
        Position { epoch, minibatch }
    }

    /// 65 minibatches: 22, 22 and 21 for three workers.
    fn partition() -> Partition {
        Partition::new(649, 10, 3)
    }

    /// All minibatches that a worker has to do from the beginning, its own and others'.
    fn todo(relief: &Relief, worker: u32) -> Vec<(u32, u32)> {
        let partition = partition();
        let end = relief.end(worker, EPOCHS);
        let own = (0..).map(|number| partition.after(worker, at(0, 0), number)).take_while(|at| *at < end);
        let own = own.map(|at| (at.epoch, partition.index(worker, at.minibatch)));
        let given = (0..).map_while(|number| relief.given(worker, number, partition));
        own.chain(given.map(|(from, at)| (at.epoch, partition.index(from, at.minibatch)))).collect()
    }

    #[test]
    fn whatever_is_given_each_minibatch_is_somebodys() {
        let everything: Vec<_> =
            (0..EPOCHS).flat_map(|epoch| (0..65).map(move |index| (epoch, index))).collect();
        let mut relief = Relief::default();
        for (worker, idle, from) in
            [(0, [1, 2].as_slice(), at(0, 1)), (0, &[1], at(0, 9)), (2, &[1], at(2, 0)), (0, &[2], at(0, 9))]
        {
            let before = relief.end(worker, EPOCHS);
            assert!(relief.give(worker, idle, from, partition(), EPOCHS), "{worker} {idle:?}");
            let end = relief.end(worker, EPOCHS);
            assert!(end > from && end < before, "{worker} {idle:?}");
            let mut all: Vec<_> = (0..3).flat_map(|worker| todo(&relief, worker)).collect();
            all.sort_unstable();
            assert_eq!(all, everything, "{worker} {idle:?}");
        }
        // Of 66 minibatches 13 are left to it.
        assert!(!relief.give(0, &[1], at(0, 6), partition(), EPOCHS), "not worth it");
        assert!(!relief.give(1, &[], at(0, 0), partition(), EPOCHS), "nobody is idle");
    }

    #[test]
    fn a_worker_is_done_behind_what_it_was_given() {
        let mut relief = Relief::default();
        assert_eq!((relief.end(0, EPOCHS), relief.last(1, EPOCHS)), (at(3, 0), at(3, 0)));
        assert!(relief.give(0, &[1], at(0, 1), partition(), EPOCHS));
        // 65 are left, of which it keeps 33.
        assert_eq!((relief.end(0, EPOCHS), relief.last(1, EPOCHS)), (at(1, 12), at(3, 32)));
        assert_eq!(relief.given(1, 0, partition()), Some((0, at(1, 12))));
        assert_eq!(relief.given(1, 31, partition()), Some((0, at(2, 21))));
        assert_eq!(relief.given(1, 32, partition()), None);
    }

    #[test]
    fn what_lacks_a_gift_or_a_successor_is_not_what_became_of_it() {
        let mut known = Relief::default();
        assert!(known.give(0, &[1], at(0, 1), partition(), EPOCHS) && known.take_over(2, 7));
        let mut later = known.clone();
        assert!(later.give(0, &[2], at(0, 9), partition(), EPOCHS) && later.take_over(2, 8));
        assert!(known.goes_on_from(&known) && later.goes_on_from(&known));
        assert!(!known.goes_on_from(&later) && !Relief::default().goes_on_from(&known));
        let mut another = Relief::default();
        assert!(another.give(0, &[2], at(0, 1), partition(), EPOCHS) && another.take_over(2, 9));
        assert!(!another.goes_on_from(&known), "another gift in its place");
        assert!(!Relief { tokens: BTreeMap::new(), ..later }.goes_on_from(&known));
    }

    #[test]
    fn whoever_was_replaced_sees_it() {
        let (store, run) = (MemoryStore::new(), RunKeys::new("run").unwrap());
        let take_over = |token| Relief::change(&store, &run, |relief| relief.take_over(4, token)).unwrap();
        assert!(!Relief::read(&store, &run).unwrap().value.is_replaced(4, 1));
        assert!(take_over(7).is_replaced(4, 6));
        let relief = take_over(5);
        assert!(!relief.is_replaced(4, 7) && relief.is_replaced(4, 6) && !relief.is_replaced(3, 1));
        assert_eq!(Relief::read(&store, &run).unwrap().version, 1, "what changes nothing is not written");
    }
}
