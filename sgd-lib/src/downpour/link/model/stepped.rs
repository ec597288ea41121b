//! A store that takes one step at a time: what a process has been told so far it is told again, then one more step
//! is taken in the store itself, and the next one fails. So a process that is run again and again from its
//! beginning stops at each point at which others may come between.
//!
//! The steps are those of Redis, where a pipeline is no transaction: an exchange is a push, a renewal, and so on, and
//! a snapshot is written first and trimmed after that.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Broken;
use crate::state::Versioned;
use crate::store::{
    Claim, ClaimRequest, Control, Cursors, EntryId, Exchange, Exchanged, Lease, MemoryStore, PushOutcome,
    Replaced, RunKeys, Snapshot, Store, StoreError, Vector, Write,
};

/// What a process was told by one call.
#[derive(Clone, Debug)]
enum Answer {
    Exchanged(Exchanged),
    Snapshot(Option<Snapshot>),
    Vector(Option<(u64, Vector)>),
    Done(bool),
    Workers(u32),
}

/// The call that is under way: how many of its steps were taken, and what they brought.
#[derive(Clone, Debug, Default)]
struct UnderWay {
    steps: usize,
    exchanged: Exchanged,
    /// The push is not the stream's last entry by this call: whose that is has to be asked.
    refused: bool,
    readers: BTreeMap<u32, Cursors>,
    written: bool,
}

/// What a process was told since it began what it is doing.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    answers: Vec<Answer>,
    under_way: UnderWay,
    /// The connection is one on which the store was not asked yet whether it still has all.
    pub(super) is_new: bool,
}

impl Told {
    /// The connection breaks: what is under way is asked anew.
    pub(super) fn reconnect(&mut self) {
        self.under_way = UnderWay::default();
        self.is_new = true;
    }

    /// What was under way is done.
    pub(super) fn settle(&mut self) {
        *self = Self { is_new: self.is_new, ..Self::default() };
    }
}

/// One way to a store, for one step.
pub(super) struct Stepped {
    store: MemoryStore,
    broken: Broken,
    state: Mutex<State>,
}

struct State {
    told: Told,
    /// Answers that were given again.
    given: usize,
    /// The step was taken.
    stepped: bool,
    /// A step was wanted after that.
    paused: bool,
}

impl Stepped {
    pub(super) fn new(store: MemoryStore, told: Told, broken: Broken) -> Arc<Self> {
        let state = State { told, given: 0, stepped: false, paused: false };
        Arc::new(Self { store, broken, state: Mutex::new(state) })
    }

    /// The store as it is after the step, what the process has been told, and whether there is more to tell it
    /// before it is done.
    pub(super) fn after(&self) -> (MemoryStore, Told, bool) {
        let state = self.state();
        (self.store.fork(), state.told.clone(), state.paused)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer that was given before, or else the steps of the call: those that are left, one at a time.
    /// `step` takes the one of this number, and returns the answer after the last.
    fn call(
        &self,
        mut step: impl FnMut(&mut UnderWay, &mut bool) -> Result<Option<Answer>, StoreError>,
    ) -> Result<Answer, StoreError> {
        let mut state = self.state();
        if let Some(answer) = state.told.answers.get(state.given) {
            let answer = answer.clone();
            state.given += 1;
            return Ok(answer);
        }
        if std::mem::replace(&mut state.stepped, true) {
            state.paused = true;
            return Err(pause());
        }
        let Told { under_way, is_new, answers } = &mut state.told;
        let answer = step(under_way, is_new)?;
        under_way.steps += 1;
        let Some(answer) = answer else {
            state.paused = true;
            return Err(pause());
        };
        *under_way = UnderWay::default();
        answers.push(answer.clone());
        state.given += 1;
        Ok(answer)
    }

    fn bit(&self, take: impl Fn(&MemoryStore) -> bool) -> Result<bool, StoreError> {
        match self.call(|_, _| Ok(Some(Answer::Done(take(&self.store)))))? {
            Answer::Done(bit) => Ok(bit),
            other => panic!("{other:?}"),
        }
    }
}

fn pause() -> StoreError {
    StoreError::Unreachable { address: "model".into(), reason: "others come first".into() }
}

/// When a connection was made that is newer than what is known: the model itself knows which are.
static MADE: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A step of an exchange.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Compare,
    Push,
    Renew,
    Register,
    /// The newest snapshot's version, and entries: the version is nothing that anybody goes by who reads entries.
    Read,
    Streams,
    /// Who wrote the stream's last entry, where the push was refused.
    Ask,
}

impl Stepped {
    fn parts(run: &UnderWay, is_new: bool, wanted: &Exchange<'_>) -> Vec<Part> {
        let fetch = wanted.cursors.is_some();
        let parts = [
            (Part::Compare, (is_new || run.exchanged.reconnected.is_some()) && wanted.known.is_some()),
            (Part::Push, wanted.push.is_some()),
            (Part::Renew, wanted.lease.is_some() && !wanted.lease_is_fresh),
            (Part::Register, wanted.reader.is_some()),
            (Part::Read, fetch),
            (Part::Streams, fetch),
            (Part::Ask, run.refused),
        ];
        parts.into_iter().filter(|(_, wanted)| *wanted).map(|(part, _)| part).collect()
    }

    fn take_part(
        &self,
        run: &RunKeys,
        part: Part,
        under_way: &mut UnderWay,
        wanted: &Exchange<'_>,
    ) -> Result<(), StoreError> {
        let exchanged = &mut under_way.exchanged;
        let none = Cursors::new();
        let look = Exchange { cursors: Some(&none), ..Exchange::default() };
        match part {
            Part::Compare => {
                let mut known = wanted.known.map(|known| (known.ends)()).unwrap_or_default();
                known.retain(|_, known| match self.broken {
                    Broken::NoComparison => false,
                    Broken::ClaimUnknown => known.seq > 0,
                    _ => true,
                });
                self.store.has(run, &known)?;
                exchanged.reconnected = Some(*MADE);
            }
            Part::Push => {
                let before = wanted.lease.map(|lease| self.store.last(run, lease.worker));
                exchanged.push = self.push(run, wanted)?;
                under_way.refused = before >= wanted.push.map(|entry| entry.id);
            }
            Part::Renew => {
                let renew = Exchange { lease: wanted.lease, ..Exchange::default() };
                exchanged.lease_held = self.store.exchange(run, &renew)?.lease_held;
            }
            Part::Register => {
                let register = Exchange { reader: wanted.reader, ..Exchange::default() };
                self.store.exchange(run, &register)?;
            }
            Part::Read => {
                let found = self.read(run, wanted)?;
                exchanged.control = found.control;
                exchanged.snapshot_version = found.snapshot_version;
                exchanged.entries = found.entries;
            }
            Part::Streams => exchanged.streams = self.store.exchange(run, &look)?.streams,
            Part::Ask => exchanged.push = self.push(run, wanted)?,
        }
        Ok(())
    }

    /// Nothing of a push that is not above the stream's last entry is taken, so it is as good as a question.
    fn push(&self, run: &RunKeys, wanted: &Exchange<'_>) -> Result<Option<PushOutcome>, StoreError> {
        let (Some(entry), Some(lease)) = (wanted.push, wanted.lease) else { return Ok(None) };
        let last = self.store.last(run, lease.worker);
        let mut entry = entry.clone();
        let renamed = match self.broken {
            Broken::NoFence => entry.id.token < last.token,
            Broken::NewNameForRetry => entry.id == last,
            _ => false,
        };
        if renamed {
            (entry.id, entry.prev) = (EntryId { token: last.token, seq: last.seq + 1 }, last);
        }
        let exchange =
            Exchange { push: Some(&entry), lease: Some(lease), lease_is_fresh: true, ..Exchange::default() };
        Ok(self.store.exchange(run, &exchange)?.push)
    }

    fn read(&self, run: &RunKeys, wanted: &Exchange<'_>) -> Result<Exchanged, StoreError> {
        let Exchange { cursors, entries_per_stream, .. } = *wanted;
        let mut read =
            self.store.exchange(run, &Exchange { cursors, entries_per_stream, ..Exchange::default() })?;
        if self.broken == Broken::NoGaps {
            for (stream, entries) in &mut read.entries {
                let mut prev = cursors.and_then(|cursors| cursors.get(stream)).copied().unwrap_or_default();
                for entry in entries {
                    entry.prev = std::mem::replace(&mut prev, entry.id);
                }
            }
        }
        Ok(read)
    }
}

impl Store for Stepped {
    fn exchange(&self, run: &RunKeys, wanted: &Exchange<'_>) -> Result<Exchanged, StoreError> {
        let answer = self.call(|under_way, is_new| {
            if under_way.steps == 0 {
                under_way.exchanged.lease_held = true;
            }
            let part = Self::parts(under_way, *is_new, wanted)[under_way.steps];
            self.take_part(run, part, under_way, wanted)?;
            *is_new &= part != Part::Compare;
            let all = Self::parts(under_way, *is_new, wanted).len();
            let done = under_way.steps + 1 == all;
            Ok(done.then(|| Answer::Exchanged(std::mem::take(&mut under_way.exchanged))))
        })?;
        match answer {
            Answer::Exchanged(exchanged) => Ok(exchanged),
            other => panic!("{other:?}"),
        }
    }

    fn snapshot(&self, run: &RunKeys) -> Result<Option<Snapshot>, StoreError> {
        match self.call(|_, _| Ok(Some(Answer::Snapshot(self.store.snapshot(run)?))))? {
            Answer::Snapshot(snapshot) => Ok(snapshot),
            other => panic!("{other:?}"),
        }
    }

    fn snapshot_vector(&self, run: &RunKeys) -> Result<Option<(u64, Vector)>, StoreError> {
        match self.call(|_, _| Ok(Some(Answer::Vector(self.store.snapshot_vector(run)?))))? {
            Answer::Vector(vector) => Ok(vector),
            other => panic!("{other:?}"),
        }
    }

    fn write_snapshot(&self, run: &RunKeys, snapshot: &Snapshot, _: Instant) -> Result<bool, StoreError> {
        let answer = self.call(|under_way, _| {
            match under_way.steps {
                0 => under_way.written = self.store.replace_snapshot(run, snapshot),
                1 if self.broken != Broken::ReadersUnheeded => under_way.readers = self.store.readers(run)?,
                1 => {}
                _ => self.store.trim(run, &snapshot.vector, &under_way.readers),
            }
            let done = !under_way.written || under_way.steps == 2;
            Ok(done.then_some(Answer::Done(under_way.written)))
        })?;
        match answer {
            Answer::Done(written) => Ok(written),
            other => panic!("{other:?}"),
        }
    }

    fn lock(&self, run: &RunKeys, name: &str, holder: &str, ttl: Duration) -> Result<bool, StoreError> {
        self.bit(|store| store.lock(run, name, holder, ttl).unwrap())
    }

    fn unlock(&self, run: &RunKeys, name: &str, holder: &str) -> Result<(), StoreError> {
        self.bit(|store| store.unlock(run, name, holder).is_ok()).map(drop)
    }

    fn fix_workers(&self, run: &RunKeys, workers: u32) -> Result<u32, StoreError> {
        match self.call(|_, _| Ok(Some(Answer::Workers(self.store.fix_workers(run, workers)?))))? {
            Answer::Workers(workers) => Ok(workers),
            other => panic!("{other:?}"),
        }
    }

    fn read(&self, _: &str) -> Result<Option<Versioned<Vec<u8>>>, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn write(&self, _: &[Write], _: Option<Duration>) -> Result<Option<usize>, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn replace_after(
        &self,
        _: &RunKeys,
        _: &str,
        _: [&[u8]; 2],
        _: (u32, EntryId),
        _: Duration,
    ) -> Result<Replaced, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn read_blob(&self, _: &str) -> Result<Option<Vec<u8>>, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn create_blob(&self, _: &str, _: &[u8], _: Duration) -> Result<bool, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn renew(&self, _: &[String], _: Duration) -> Result<usize, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn now_ms(&self) -> Result<u64, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn register_run(&self, _: &RunKeys) -> Result<(), StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn runs(&self) -> Result<Vec<String>, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn delete_run(&self, _: &RunKeys) -> Result<u64, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn delete_log(&self, _: &RunKeys) -> Result<(), StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn control(&self, _: &RunKeys) -> Result<Control, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn stop(&self, _: &RunKeys, _: &str) -> Result<String, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn claim(&self, _: &RunKeys, _: &ClaimRequest) -> Result<Claim, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn streams(&self, _: &RunKeys) -> Result<u32, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn release(&self, _: &RunKeys, _: &Lease) -> Result<(), StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn held(&self, _: &RunKeys, _: Range<u32>) -> Result<Vec<bool>, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn readers(&self, _: &RunKeys) -> Result<BTreeMap<u32, Cursors>, StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn forget_reader(&self, _: &RunKeys, _: u32) -> Result<(), StoreError> {
        unreachable!("the link does not ask for it")
    }

    fn events(&self, _: &RunKeys, _: &str, _: Duration) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        unreachable!("the link does not ask for it")
    }
}
