//! Store and processes, and what may happen next.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use xxhash_rust::xxh3::xxh3_128;

use super::explorer::System;
use super::process::Process;
use super::{Broken, Size, properties, run};
use crate::codec;
use crate::store::{MemoryStore, Snapshot, Store, Vector};

/// The writes that a restart may lose.
const LOST_WRITES: usize = 2;

pub(super) struct Model {
    pub(super) size: Size,
    pub(super) broken: Broken,
    /// What was looked at, in whatever state.
    seen: RefCell<HashSet<u128>>,
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) store: Arc<Hashed<MemoryStore>>,
    pub(super) processes: Vec<Arc<Hashed<Process>>>,
    /// The store before its last writes, the newest last.
    before: Vec<Arc<Hashed<MemoryStore>>>,
    lost_answers: u8,
    snapshots: u8,
    pub(super) restarts: u8,
}

/// Something, and a number that no other of its kind has.
pub(super) struct Hashed<T> {
    is: T,
    pub(super) hash: u128,
}

impl<T> std::ops::Deref for Hashed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.is
    }
}

/// A collision would hide a state; among 10^7 there is one by a chance of 10^-25.
fn hashed<T>(is: T, contents: &str) -> Arc<Hashed<T>> {
    Arc::new(Hashed { is, hash: xxh3_128(contents.as_bytes()) })
}

fn process(process: Process) -> Arc<Hashed<Process>> {
    let contents = process.contents();
    hashed(process, &contents)
}

fn store(store: MemoryStore) -> Arc<Hashed<MemoryStore>> {
    let contents = store.contents(&run());
    hashed(store, &contents)
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A process does what is next, its next request with a snapshot or without one.
    Process { index: usize, fold: bool },
    /// The same, but it does not hear of it, and will do it again.
    Unheard { index: usize },
    /// All locks end.
    Unlock,
    /// A lease ends, and somebody takes over.
    Successor { worker: u32 },
    /// The store comes back without its last writes.
    Restart { lost: usize },
}

impl Model {
    pub(super) fn new(size: Size, broken: Broken) -> Self {
        Self { size, broken, seen: RefCell::default() }
    }

    /// Whether nothing of this hash was looked at.
    pub(super) fn is_new(&self, hash: u128) -> bool {
        self.seen.borrow_mut().insert(hash)
    }

    /// The store's clock: it goes on whenever somebody comes.
    fn time(&self, state: &State) -> u64 {
        if self.broken == Broken::TokensWithoutTime { 0 } else { state.processes.len() as u64 }
    }

    fn begin(&self) -> State {
        let empty = MemoryStore::new();
        crate::state::put(&empty, &run().config(), &(), 0, None).unwrap();
        empty.fix_workers(&run(), self.size.workers).unwrap();
        let parameters = vec![0.0; 2 * self.size.rows()[0].1];
        let start =
            Snapshot { version: 1, vector: Vector::new(), parameters: codec::blob::pack(&parameters) };
        assert!(empty.write_snapshot(&run(), &start, Instant::now()).unwrap());
        let workers = (0..self.size.workers).map(|worker| Process::worker(worker, worker as usize));
        let reader = self.size.reader.then(|| Process::reader(99));
        State {
            store: store(empty),
            processes: workers.chain(reader).map(process).collect(),
            before: Vec::new(),
            lost_answers: 0,
            snapshots: 0,
            restarts: 0,
        }
    }

    fn take(&self, state: &State, step: Step) -> State {
        let mut next = state.clone();
        match step {
            Step::Process { index, fold } => {
                let (store, stepped) =
                    state.processes[index].step(&state.store, &self.size, fold, self.broken);
                next.processes[index] = process(stepped);
                next.snapshots += u8::from(fold);
                self.write(&mut next, store);
            }
            Step::Unheard { index } => {
                let unheard = &state.processes[index];
                self.write(&mut next, unheard.step(&state.store, &self.size, false, self.broken).0);
                next.processes[index] = process(unheard.reconnected());
                next.lost_answers += 1;
            }
            Step::Unlock => {
                let store = state.store.fork();
                store.unlock_all(&run());
                self.write(&mut next, store);
            }
            Step::Successor { worker } => {
                let store = state.store.fork();
                let successor = Process::successor(worker, state.processes.len(), &store, &self.size);
                next.processes.push(process(successor));
                self.write(&mut next, store);
            }
            Step::Restart { lost } => {
                next.store = state.before[state.before.len() - lost].clone();
                next.before.clear();
                next.restarts += 1;
                next.processes = state.processes.iter().map(|it| process(it.reconnected())).collect();
            }
        }
        next
    }

    /// Whether what a process does next is a write: a question whose answer is lost is as good as not asked.
    fn writes(&self, state: &State, process: &Process) -> bool {
        let step = || process.step(&state.store, &self.size, false, self.broken).0;
        store(MemoryStore::at(self.time(state), step)).hash != state.store.hash
    }

    fn write(&self, state: &mut State, written: MemoryStore) {
        let written = store(written);
        if written.hash == state.store.hash {
            return;
        }
        let before = std::mem::replace(&mut state.store, written);
        if state.restarts < self.size.restarts {
            state.before.push(before);
            let old = state.before.len().saturating_sub(LOST_WRITES);
            state.before.drain(..old);
        }
    }
}

impl System for Model {
    type State = State;
    type Step = Step;

    fn beginning(&self) -> State {
        MemoryStore::at(0, || self.begin())
    }

    fn steps(&self, state: &State) -> Vec<Step> {
        let mut steps = Vec::new();
        for (index, process) in state.processes.iter().enumerate() {
            if process.goes_on(&self.size) {
                steps.push(Step::Process { index, fold: false });
                if state.lost_answers < self.size.lost_answers && self.writes(state, process) {
                    steps.push(Step::Unheard { index });
                }
            }
            if process.may_fold() && state.snapshots < self.size.snapshots {
                steps.push(Step::Process { index, fold: true });
            }
        }
        let beginning = self.size.workers as usize + usize::from(self.size.reader);
        if state.processes.len() < beginning + self.size.successors {
            // The first worker of each is on its way.
            let had = (0..self.size.workers).filter(|worker| state.store.last(&run(), *worker).token > 0);
            steps.extend(had.map(|worker| Step::Successor { worker }));
        }
        if state.store.is_locked(&run()) {
            steps.push(Step::Unlock);
        }
        if state.restarts < self.size.restarts {
            steps.extend((1..=state.before.len()).map(|lost| Step::Restart { lost }));
        }
        steps
    }

    fn after(&self, state: &State, step: Step) -> State {
        MemoryStore::at(self.time(state), || self.take(state, step))
    }

    fn hash(&self, state: &State) -> u128 {
        let State { store, processes, before, lost_answers, snapshots, restarts } = state;
        let stores = before.iter().chain([store]).map(|store| store.hash);
        let hashes: Vec<_> = stores.chain(processes.iter().map(|process| process.hash)).collect();
        xxh3_128(format!("{hashes:x?}{lost_answers} {snapshots} {restarts}").as_bytes())
    }

    fn check(&self, state: &State) -> Result<(), String> {
        MemoryStore::at(self.time(state), || properties::check(self, state))
    }
}
