//! Who does which minibatches, where workers come and go.
//!
//! The run is one sequence of minibatches, epoch after epoch. A worker that has nothing left to do takes the next
//! portion of it; one that leaves gives back what it has not done, and the next who takes gets that. So each
//! minibatch is done once, however many workers there are at any time, and nobody has to agree on a moment from
//! which on the data are divided anew: the boundary is the next portion that somebody takes.
//!
//! One value in the store says who has what; it is changed by compare-and-set. A portion stays there until all of it
//! is in the log. A worker's [`Position`] counts its portions, and its minibatches of the one that it stands in. So
//! the log says what of the portions of one that died is left: who finds it gone takes its lease, which fences its
//! stream, and gives the rest back for it.
//!
//! A store that was restarted may have lost what was written last. So the value is changed only where it is what was
//! read (versions that were lost are counted anew), and the stream still has the entry from which the change follows. And between taking a portion and the first push of
//! something of it a worker pushes what came before: where the store has lost that a portion was taken, it has lost
//! that push, too, and the worker hears of it before it pushes anything else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::log::LogError;
use crate::state::{self, StateError};
use crate::store::{EntryId, Position, RUN_TTL, Replaced, RunKeys, Store};

/// So many changes are remembered.
const MOST_CHANGES: usize = 1000;

/// All minibatches of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course {
    /// Minibatches of an epoch.
    pub(super) epoch: u32,
    pub(super) epochs: u32,
    /// Portions begin and end at multiples of it, or with the epoch: where workers would push anyway.
    pub(super) grain: u32,
}

impl Course {
    /// The number of minibatches.
    pub(super) fn total(self) -> u64 {
        u64::from(self.epoch) * u64::from(self.epochs)
    }
}

/// Minibatches of one epoch that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stretch {
    pub(super) epoch: u32,
    pub(super) begin: u32,
    pub(super) end: u32,
}

impl Stretch {
    fn is_empty(self) -> bool {
        self.begin >= self.end
    }

    /// The first of it, up to `count` minibatches, and what is left.
    fn split(self, count: u32) -> (Self, Self) {
        let middle = self.begin.saturating_add(count).min(self.end);
        (Self { end: middle, ..self }, Self { begin: middle, ..self })
    }
}

/// What a worker took at once: its portion of this number, counted from 1 over all holders of its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Portion {
    pub(super) number: u32,
    pub(super) stretch: Stretch,
}

impl Portion {
    /// What of it lies behind `at`.
    fn rest(self, at: Position) -> Stretch {
        let done = match self.number.cmp(&at.epoch) {
            std::cmp::Ordering::Less => u32::MAX,
            std::cmp::Ordering::Equal => at.minibatch,
            std::cmp::Ordering::Greater => 0,
        };
        self.stretch.split(done).1
    }
}

/// A worker that takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    /// Its lease's token.
    token: u64,
    /// Those of its portions of which not all is known to be in the log.
    portions: Vec<Portion>,
}

/// A worker came or left.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// When, milliseconds since 1970 by the store's clock.
    pub ms: u64,
    /// Minibatches of the run that had been given to workers by then.
    pub minibatches: u64,
    /// Workers from then on.
    pub workers: u32,
}

/// Everything that was given to workers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Allotment {
    /// Minibatches of the run, from its beginning on, that were given to somebody.
    given: u64,
    /// What came back of them.
    returned: Vec<Stretch>,
    members: BTreeMap<u32, Member>,
    /// One more than the highest number that a worker ever had.
    numbers: u32,
    changes: Vec<Change>,
}

impl Allotment {
    /// What stands in the store.
    pub(super) fn read(store: &dyn Store, run: &RunKeys) -> Result<Self, StateError> {
        Ok(state::get(store, &run.allotment())?.map(|found| found.value).unwrap_or_default())
    }

    /// Changes it, again and again until nobody writes in between; `change` says whether there is anything to
    /// write. Returns what stands then. Where a worker stands follows from an `entry` of its stream, so nothing is
    /// written where the store does not have that any more.
    pub(super) fn change(
        store: &dyn Store,
        run: &RunKeys,
        entry: (u32, EntryId),
        mut change: impl FnMut(&mut Self) -> bool,
    ) -> Result<Self, LogError> {
        let key = run.allotment();
        loop {
            let known = store.read(&key)?.map(|found| found.value).unwrap_or_default();
            let mut value = if known.is_empty() { Self::default() } else { state::decode(&key, &known)? };
            if !change(&mut value) {
                return Ok(value);
            }
            let values = [&known[..], &state::encode(&key, &value)?];
            match store.replace_after(run, &key, values, entry, RUN_TTL)? {
                Replaced::Written => return Ok(value),
                Replaced::Stale => {}
                Replaced::Forgot => {
                    let (run, what) = (run.run().to_owned(), "a push");
                    return Err(LogError::Forgot { run, what });
                }
            }
        }
    }

    /// A worker takes part from now on, under the lease of this token; its stream stands at `at`. What a
    /// predecessor has not done comes back. Whether that changes anything.
    pub(super) fn join(&mut self, worker: u32, token: u64, at: Position, now_ms: u64) -> bool {
        match self.members.get(&worker) {
            Some(member) if member.token >= token => return false,
            Some(_) => self.retire(worker, at),
            None => {}
        }
        self.members.insert(worker, Member { token, portions: Vec::new() });
        self.numbers = self.numbers.max(worker + 1);
        self.note(now_ms);
        true
    }

    /// A worker takes part no longer: its stream, to which nobody under an earlier lease than that of `token` can
    /// push any more, ends at `at`. Whether that changes anything.
    pub(super) fn leave(&mut self, worker: u32, token: u64, at: Position, now_ms: u64) -> bool {
        let leaves = self.members.get(&worker).is_some_and(|member| member.token <= token);
        if leaves {
            self.retire(worker, at);
            self.note(now_ms);
        }
        leaves
    }

    /// The worker takes up to `count` minibatches more, as its portion `number`; up to `at` all that it did is in
    /// the log. False where it is no member any more, everything is given to somebody, or it has that portion: a call
    /// of which the answer was lost.
    pub(super) fn take(
        &mut self,
        worker: u32,
        token: u64,
        at: Position,
        number: u32,
        count: u32,
        course: Course,
    ) -> bool {
        let has = self.portion(worker).is_some_and(|portion| portion.number >= number);
        if has || !self.is_member(worker, token) {
            return false;
        }
        let Some(stretch) = self.next(count, course) else { return false };
        if let Some(member) = self.members.get_mut(&worker) {
            member.portions.retain(|portion| !portion.rest(at).is_empty());
            member.portions.push(Portion { number, stretch });
        }
        true
    }

    /// What somebody gave back, or what nobody had. Towards the end of the run portions get smaller, so that all
    /// come to the end together.
    fn next(&mut self, count: u32, course: Course) -> Option<Stretch> {
        let left = course.total().saturating_sub(self.given);
        let fair = u32::try_from(left / (2 * u64::from(self.workers()))).unwrap_or(u32::MAX);
        let grain = course.grain.max(1);
        let count = count.min(fair).div_ceil(grain).max(1).saturating_mul(grain);
        if let Some(returned) = self.returned.pop() {
            let (first, rest) = returned.split(count);
            self.bring_back(rest);
            return Some(first);
        }
        if left == 0 {
            return None;
        }
        let (epoch, begin) = (self.given / u64::from(course.epoch), self.given % u64::from(course.epoch));
        let rest = Stretch { epoch: narrow(epoch), begin: narrow(begin), end: course.epoch };
        let (first, _) = rest.split(count);
        self.given += u64::from(first.end - first.begin);
        Some(first)
    }

    fn bring_back(&mut self, stretch: Stretch) {
        if !stretch.is_empty() {
            self.returned.push(stretch);
        }
    }

    fn retire(&mut self, worker: u32, at: Position) {
        for portion in self.members.remove(&worker).map(|member| member.portions).unwrap_or_default() {
            self.bring_back(portion.rest(at));
        }
    }

    fn note(&mut self, now_ms: u64) {
        if self.changes.len() >= MOST_CHANGES {
            self.changes.remove(0);
        }
        let workers = narrow(self.members.len() as u64);
        self.changes.push(Change { ms: now_ms, minibatches: self.given, workers });
    }

    /// Whether the holder of the lease of this token takes part as `worker`.
    pub(super) fn is_member(&self, worker: u32, token: u64) -> bool {
        self.members.get(&worker).is_some_and(|member| member.token == token)
    }

    /// Whether somebody takes part as `worker`.
    pub(super) fn has(&self, worker: u32) -> bool {
        self.members.contains_key(&worker)
    }

    /// What a worker took last.
    pub(super) fn portion(&self, worker: u32) -> Option<Portion> {
        self.members.get(&worker)?.portions.last().copied()
    }

    /// How many take part; one where nobody does, who is about to.
    pub(super) fn workers(&self) -> u32 {
        narrow(self.members.len() as u64).max(1)
    }

    /// Whether nobody takes part.
    pub(super) fn is_deserted(&self) -> bool {
        self.members.is_empty()
    }

    /// The lowest number of those who take part.
    pub(super) fn first(&self) -> Option<u32> {
        self.members.keys().next().copied()
    }

    /// The lowest numbers that are free, for so many workers that they are `wanted` in all.
    pub(super) fn absent(&self, wanted: u32) -> Vec<u32> {
        let missing = (wanted as usize).saturating_sub(self.members.len());
        (0..).filter(|number| !self.has(*number)).take(missing).collect()
    }

    /// One more than the highest number that a worker ever had.
    pub(super) fn numbers(&self) -> u32 {
        self.numbers
    }

    /// When workers came and left, oldest first.
    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
