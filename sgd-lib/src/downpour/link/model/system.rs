//! Store and processes, and what may happen next.

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
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) store: std::sync::Arc<MemoryStore>,
    pub(super) processes: Vec<Process>,
    /// The store before its last writes, the newest last.
    before: Vec<std::sync::Arc<MemoryStore>>,
    lost_answers: u8,
    snapshots: u8,
    pub(super) restarts: u8,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A process does what is next, its next request with a snapshot or without one.
    Process { index: usize, fold: bool },
    /// The same, but it does not hear of it, and will do it again.
    Unheard { index: usize },
    /// A lease ends.
    Expire { worker: u32 },
    /// All locks end.
    Unlock,
    /// Somebody comes to take over.
    Successor { worker: u32 },
    /// The store comes back without its last writes.
    Restart { lost: usize },
}

impl Model {
    /// The store's clock: it goes on whenever somebody comes.
    fn time(&self, state: &State) -> u64 {
        if self.broken == Broken::TokensWithoutTime { 0 } else { state.processes.len() as u64 }
    }

    fn begin(&self) -> State {
        let store = MemoryStore::new();
        crate::state::put(&store, &run().config(), &(), 0, None).unwrap();
        store.fix_workers(&run(), self.size.workers).unwrap();
        let parameters = vec![0.0; self.size.rows()[0].1];
        let start = Snapshot { version: 1, vector: Vector::new(), parameters: codec::blob::pack(&parameters) };
        assert!(store.write_snapshot(&run(), &start).unwrap());
        let workers = (0..self.size.workers).map(|worker| Process::worker(worker, worker as usize));
        let reader = self.size.reader.then(|| Process::reader(99));
        State {
            store: store.into(),
            processes: workers.chain(reader).collect(),
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
                let (store, process) = state.processes[index].step(&state.store, &self.size, fold, self.broken);
                next.processes[index] = process;
                next.snapshots += u8::from(fold);
                self.write(&mut next, store);
            }
            Step::Unheard { index } => {
                let process = &state.processes[index];
                self.write(&mut next, process.step(&state.store, &self.size, false, self.broken).0);
                next.processes[index].told.reconnect();
                next.lost_answers += 1;
            }
            Step::Expire { worker } => {
                let store = state.store.fork();
                store.expire(&run(), worker);
                self.write(&mut next, store);
            }
            Step::Unlock => {
                let store = state.store.fork();
                store.unlock_all(&run());
                self.write(&mut next, store);
            }
            Step::Successor { worker } => {
                next.processes.push(Process::worker(worker, state.processes.len()));
            }
            Step::Restart { lost } => {
                next.store = state.before[state.before.len() - lost].clone();
                next.before.clear();
                next.restarts += 1;
                next.processes.iter_mut().for_each(|process| process.told.reconnect());
            }
        }
        next
    }

    fn write(&self, state: &mut State, store: MemoryStore) {
        if state.restarts < self.size.restarts && store.contents(&run()) != state.store.contents(&run()) {
            state.before.push(state.store.clone());
            let old = state.before.len().saturating_sub(LOST_WRITES);
            state.before.drain(..old);
        }
        state.store = store.into();
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
        for (index, process) in state.processes.iter().enumerate().filter(|(_, process)| !process.has_ended()) {
            steps.push(Step::Process { index, fold: false });
            if process.may_fold() && state.snapshots < self.size.snapshots {
                steps.push(Step::Process { index, fold: true });
            }
            if state.lost_answers < self.size.lost_answers && !process.is_reader() {
                steps.push(Step::Unheard { index });
            }
        }
        let held = state.store.held(&run(), 0..self.size.workers).unwrap();
        let beginning = self.size.workers as usize + usize::from(self.size.reader);
        let may_come = state.processes.len() < beginning + self.size.successors;
        for (worker, held) in (0..).zip(held) {
            // One that is not held yet has its first worker on the way.
            let had = state.store.last(&run(), worker).token > 0;
            match held {
                true if may_come => steps.push(Step::Expire { worker }),
                false if may_come && had => steps.push(Step::Successor { worker }),
                _ => {}
            }
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

    fn contents(&self, state: &State) -> String {
        let mut text = format!("{} {} {}", state.lost_answers, state.snapshots, state.restarts);
        for store in state.before.iter().chain([&state.store]) {
            text += &store.contents(&run());
        }
        for process in &state.processes {
            text += &process.contents();
        }
        text
    }

    fn check(&self, state: &State) -> Result<(), String> {
        MemoryStore::at(self.time(state), || properties::check(self, state))
    }
}
