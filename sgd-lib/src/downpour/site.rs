//! Where a worker's pushes go: the global store, or the store of its node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::log::{Folded, LogError, cursors};
use super::nodes::{self, Arrival, Nodes};
use super::run::{Run, RunError};
use crate::codec;
use crate::state::{self, StateError, Versioned};
use crate::store::{
    Cursors, EntryId, Exchange, FROM_ABOVE, Lease, Mark, Passed, Progress, RUN_TTL, RunKeys, Snapshot, Store,
    StoreError, Vector,
};

/// Between two looks whether pushes were passed on.
const LOOK: Duration = Duration::from_millis(1);

/// A node's part of a run.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) store: Arc<dyn Store>,
    pub(super) keys: RunKeys,
    /// The node's number, its stream's in the global store.
    pub(super) number: u32,
    /// How long a synchronizer's lease lasts without a renewal: as long as a worker's.
    pub(super) ttl: Duration,
}

/// Where a worker found itself.
pub enum Settled {
    /// It can begin: the run, with the store that the worker's pushes go to.
    Here(Box<Run>),
    /// What the worker pushed before is on this node, and not all of it is passed on yet. Somebody there
    /// can go on at once; anybody else once it is.
    Elsewhere {
        /// The node's name.
        node: String,
    },
}

impl Run {
    /// Finds the store for the pushes of the worker that holds `lease`: `local`, the store of the node of
    /// that name, or the global one where there is none.
    ///
    /// # Errors
    /// A store fails.
    pub fn settle(
        mut self,
        lease: &Lease,
        local: Option<(&Arc<dyn Store>, &str)>,
    ) -> Result<Settled, RunError> {
        loop {
            let Versioned { value: mut nodes, version } = Nodes::read(&**self.store(), self.keys())?;
            let (arrival, site) = self.arrive(&mut nodes, lease, local)?;
            if let Arrival::Elsewhere(home) = arrival
                && let Some(theirs) = nodes::claim(&self, home, lease.ttl)?
            {
                // Nobody there passes anything on any more.
                nodes::close(&self, &theirs, Some(lease.worker))?;
                self.store().release(self.keys(), &theirs)?;
                continue;
            }
            if arrival != Arrival::Global && !nodes.write(&**self.store(), self.keys(), version)? {
                if let Some(site) = site {
                    site.forget_if_another_has_its_number(&self, nodes.name(site.number))?;
                }
                continue;
            }
            let elsewhere = match arrival {
                Arrival::Elsewhere(home) => Some(home),
                // It has a successor, who may have gone to another home already.
                Arrival::Here(home) if !nodes::holds(&**self.store(), self.keys(), lease)? => Some(home),
                Arrival::Here(_) | Arrival::Global => None,
            };
            if let Some(home) = elsewhere {
                return Ok(Settled::Elsewhere { node: nodes.name(home).to_owned() });
            }
            self.site = site;
            return Ok(Settled::Here(Box::new(self)));
        }
    }

    /// Looks where the worker is at home, and brings the run to this node where that is a new one.
    fn arrive(
        &self,
        nodes: &mut Nodes,
        lease: &Lease,
        local: Option<(&Arc<dyn Store>, &str)>,
    ) -> Result<(Arrival, Option<Site>), RunError> {
        let known = nodes.numbers();
        let arrival = nodes.arrive(lease.worker, local.map(|(_, name)| name));
        let (&Arrival::Here(number), Some((store, _))) = (&arrival, local) else {
            return Ok((arrival, None));
        };
        let site = Site::new(store, self, number, lease.ttl);
        if !known.contains(&number) {
            site.open(self)?;
        } else if !site.is_open()? {
            return Ok((nodes.lost(lease.worker, number), Some(site)));
        }
        Ok((arrival, Some(site)))
    }

    /// The store and keys of the parameter log that its workers on this node write and read.
    pub(super) fn log(&self) -> (&Arc<dyn Store>, &RunKeys) {
        match &self.site {
            Some(site) => (&site.store, &site.keys),
            None => (self.store(), self.keys()),
        }
    }
}

impl Site {
    fn new(store: &Arc<dyn Store>, run: &Run, number: u32, ttl: Duration) -> Self {
        Self { store: store.clone(), keys: run.keys().on_node(number), number, ttl }
    }

    fn is_open(&self) -> Result<bool, StoreError> {
        Ok(self.store.read(&self.keys.config())?.is_some())
    }

    /// Two nodes that are opened at the same time choose the same number, and one of them has to choose again.
    fn forget_if_another_has_its_number(&self, run: &Run, name: &str) -> Result<(), LogError> {
        let nodes = Nodes::read(&**run.store(), run.keys())?.value;
        if nodes.has(self.number) && nodes.name(self.number) != name {
            self.store.delete_run(&self.keys)?;
        }
        Ok(())
    }

    /// Brings the run to the node, unless it is there: the parameters as they are in the global store, as
    /// the first snapshot, and with them how much of the global log is in them.
    fn open(&self, run: &Run) -> Result<(), LogError> {
        if self.is_open()? {
            return Ok(());
        }
        let (global, keys) = (&**run.store(), run.keys());
        // Before anything is read: from here on nothing is trimmed that the node has not read.
        let nothing = Cursors::new();
        let register = Exchange { reader: Some((self.number, &nothing)), ..Exchange::default() };
        global.exchange(keys, &register)?;
        self.store.exchange(&self.keys, &register)?;
        let folded = Folded::load(global, keys, &run.config().architecture.rows())?;
        let mark = Mark { passed: heard(&folded.vector, self.number), ..Mark::default() };
        let first = Snapshot {
            version: 1,
            vector: Vector::from([(FROM_ABOVE, mark)]),
            parameters: codec::blob::pack(&folded.parameters),
        };
        self.store.write_snapshot(&self.keys, &first, Instant::now())?;
        match state::put(&*self.store, &self.keys.config(), run.config(), 0, Some(RUN_TTL)) {
            Ok(_) | Err(StateError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A worker whose pushes are all passed on, and who pushes no more, is at home here no longer.
    pub(super) fn let_go(&self, global: &dyn Store, run: &RunKeys, lease: &Lease) -> Result<(), LogError> {
        loop {
            let Versioned { value: mut nodes, version } = Nodes::read(global, run)?;
            let at_home = nodes.residents(self.number).contains(&lease.worker);
            // After the table was read: a successor has written it, or will and we begin again.
            if !at_home || !nodes::holds(global, run, lease)? {
                return Ok(());
            }
            nodes.let_go(lease.worker);
            if nodes.write(global, run, version)? {
                return Ok(());
            }
        }
    }

    /// Deletes the run's part on the node once the run was stopped and the last worker of the node has left.
    pub(super) fn tidy(&self, run: &Run) -> Result<(), LogError> {
        let (global, keys) = (&**run.store(), run.keys());
        if global.control(keys)?.stop.is_none() {
            return Ok(());
        }
        let nodes = Nodes::read(global, keys)?.value;
        for worker in nodes.residents(self.number) {
            if global.held(keys, worker..worker + 1)?.contains(&true) {
                return Ok(());
            }
        }
        // Also what is left of earlier stays on this node.
        for number in nodes.numbers().filter(|number| nodes.name(*number) == nodes.name(self.number)) {
            self.store.delete_run(&keys.on_node(number))?;
        }
        Ok(())
    }

    /// Takes a worker's stream on the node: the lease in the global store gives the right to it.
    pub(super) fn take_stream(&self, worker: u32) -> Result<Lease, LogError> {
        let run = || LogError::NoSnapshot { run: self.keys.run().to_owned() };
        nodes::seize(&*self.store, &self.keys, worker, self.ttl)?.ok_or_else(run)
    }

    /// Waits until everything in a stream up to `last` stands in the global store; whether it does.
    pub(super) fn await_passing_on(
        &self,
        stream: u32,
        last: EntryId,
        patience: Duration,
    ) -> Result<bool, StoreError> {
        let deadline = Instant::now() + patience;
        loop {
            let readers = self.store.readers(&self.keys)?;
            let read = readers.get(&self.number).and_then(|cursors| cursors.get(&stream));
            if read.is_some_and(|read| *read >= last) {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            thread::sleep(LOOK);
        }
    }
}

/// Everything that is in a vector of a store but what came from stream `twin`: how far each other stream was
/// read, and how far that brings each worker.
pub(super) fn heard(vector: &Vector, twin: u32) -> Passed {
    let mut passed = Passed { cursors: cursors(vector, Some(twin)), ..Passed::default() };
    for (stream, mark) in vector.iter().filter(|(stream, _)| **stream != twin) {
        let through: &BTreeMap<u32, Progress> = &mark.passed.workers;
        let own = (mark.progress != Progress::default()).then_some((*stream, mark.progress));
        for (worker, progress) in own.into_iter().chain(through.iter().map(|(w, p)| (*w, *p))) {
            passed.hear(worker, progress);
        }
    }
    passed
}
