//! The nodes of a run, and which worker is at home where.
//!
//! A worker's pushes are in the store of one node, its home, or directly in the global store. Where somebody
//! takes over on another node, the home has to be left first: nothing that is still in it may ever be passed
//! on. The table is one typed value in the global store, so each change of it is one step.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::log::LogError;
use super::run::Run;
use crate::state::{self, StateError, Versioned};
use crate::store::{Claim, ClaimRequest, Exchange, FIRST_NODE, Lease, RUN_TTL, RunKeys, Store, StoreError};

/// What one node's synchronizer did, predecessors included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// The node's name.
    pub node: String,
    /// Sums passed on to the global store.
    pub synchronizations: u64,
    /// Bytes of their encoding.
    pub bytes_to_global: u64,
    /// Bytes of what was read from the global store for the node.
    pub bytes_from_global: u64,
}

/// A node's part in a run, from its first worker until it is closed. A node that was closed and comes back
/// is another one, with a number and keys of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    name: String,
    /// Nothing is passed on from it any more.
    closed: bool,
}

/// The table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Nodes {
    /// The node of index i has number `FIRST_NODE + 1 + i`.
    nodes: Vec<Node>,
    homes: BTreeMap<u32, u32>,
    /// Workers whom somebody on another node waits for: their home's synchronizer lets them go.
    leaving: BTreeMap<u32, u32>,
}

/// What a worker has to do that arrives somewhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Its pushes go to the global store.
    Global,
    /// To the node of this number, on which it is.
    Here(u32),
    /// Its pushes are on another node, of this number.
    Elsewhere(u32),
}

impl Nodes {
    pub(super) fn read(store: &dyn Store, run: &RunKeys) -> Result<Versioned<Self>, StateError> {
        let found = state::get(store, &run.nodes())?;
        Ok(found.unwrap_or(Versioned { value: Self::default(), version: 0 }))
    }

    /// Writes the table if nobody else did meanwhile; whether it was written.
    pub(super) fn write(&self, store: &dyn Store, run: &RunKeys, read_at: u64) -> Result<bool, StateError> {
        match state::put(store, &run.nodes(), self, read_at, Some(RUN_TTL)) {
            Ok(_) => Ok(true),
            Err(StateError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn node(&self, number: u32) -> Option<&Node> {
        self.nodes.get(number.checked_sub(FIRST_NODE + 1)? as usize)
    }

    /// Whether there is a node of this number, open or closed.
    pub(super) fn has(&self, number: u32) -> bool {
        self.node(number).is_some()
    }

    pub(super) fn is_open(&self, number: u32) -> bool {
        self.node(number).is_some_and(|node| !node.closed)
    }

    pub(super) fn name(&self, number: u32) -> &str {
        self.node(number).map_or("", |node| &node.name)
    }

    /// The numbers of all nodes.
    pub(super) fn numbers(&self) -> std::ops::Range<u32> {
        let first = FIRST_NODE + 1;
        first..first + u32::try_from(self.nodes.len()).unwrap_or(0)
    }

    /// Workers at home on a node.
    pub(super) fn residents(&self, number: u32) -> Vec<u32> {
        self.homes.iter().filter(|(_, home)| **home == number).map(|(worker, _)| *worker).collect()
    }

    /// A worker arrives on the node of this name, or where there is no node's store.
    pub(super) fn arrive(&mut self, worker: u32, node: Option<&str>) -> Arrival {
        if let Some(&home) = self.homes.get(&worker) {
            if node == Some(self.name(home)) {
                self.leaving.remove(&worker);
                return Arrival::Here(home);
            }
            self.leaving.insert(worker, home);
            return Arrival::Elsewhere(home);
        }
        let Some(name) = node else { return Arrival::Global };
        let open = self.numbers().find(|number| self.is_open(*number) && self.name(*number) == name);
        let home = open.unwrap_or_else(|| {
            self.nodes.push(Node { name: name.to_owned(), closed: false });
            self.numbers().end - 1
        });
        self.homes.insert(worker, home);
        Arrival::Here(home)
    }

    /// The store of a node where a worker has arrived does not have the run any more.
    pub(super) fn lost(&mut self, worker: u32, number: u32) -> Arrival {
        if self.homes.get(&worker) == Some(&number) {
            self.leaving.insert(worker, number);
        }
        Arrival::Elsewhere(number)
    }

    /// Workers that somebody waits for elsewhere.
    pub(super) fn leaving(&self, number: u32) -> Vec<u32> {
        self.leaving.iter().filter(|(_, home)| **home == number).map(|(worker, _)| *worker).collect()
    }

    /// A worker's home has nothing more of it that is not passed on.
    pub(super) fn let_go(&mut self, worker: u32) {
        self.leaving.remove(&worker);
        self.homes.remove(&worker);
    }

    fn close(&mut self, number: u32) {
        if let Some(node) = self.nodes.get_mut((number - FIRST_NODE - 1) as usize) {
            node.closed = true;
        }
        for worker in self.residents(number) {
            self.let_go(worker);
        }
    }
}

/// Takes the lease of a node's stream in the global store, so that nobody else passes anything on.
pub(super) fn claim(run: &Run, number: u32, ttl: Duration) -> Result<Option<Lease>, StoreError> {
    take(&**run.store(), run.keys(), number, ttl, false)
}

/// Takes a stream from whoever has it.
pub(super) fn seize(
    store: &dyn Store,
    keys: &RunKeys,
    stream: u32,
    ttl: Duration,
) -> Result<Option<Lease>, StoreError> {
    take(store, keys, stream, ttl, true)
}

fn take(
    store: &dyn Store,
    keys: &RunKeys,
    stream: u32,
    ttl: Duration,
    seize: bool,
) -> Result<Option<Lease>, StoreError> {
    let holder = format!("{:016x}", rand::random::<u64>());
    let request = ClaimRequest {
        place: holder.clone(),
        worker: Some(stream),
        workers: FIRST_NODE,
        holder,
        ttl,
        from: None,
        seize,
    };
    match store.claim(keys, &request)? {
        Claim::Granted { lease, .. } => Ok(Some(lease)),
        Claim::Duplicate { .. } | Claim::Taken | Claim::Over { .. } => Ok(None),
    }
}

/// Whether a lease is still its holder's; renews it.
pub(super) fn holds(store: &dyn Store, keys: &RunKeys, lease: &Lease) -> Result<bool, StoreError> {
    Ok(store.exchange(keys, &Exchange { lease: Some(lease), ..Exchange::default() })?.lease_held)
}

/// Closes a node whose stream's lease we hold. What its store has that was not passed on counts no more:
/// every worker at home there loses its lease (but `keep`, which is ours), and whoever takes over goes on
/// from what was passed on.
pub(super) fn close(run: &Run, held: &Lease, keep: Option<u32>) -> Result<(), LogError> {
    let number = held.worker;
    let (store, keys) = (&**run.store(), run.keys());
    loop {
        let Versioned { value: mut nodes, version } = Nodes::read(store, keys)?;
        // After the table was read: whoever synchronizes now writes it first.
        if !holds(store, keys, held)? {
            return Ok(());
        }
        // Before the table says so: who arrives in between writes it, and we begin again.
        for worker in nodes.residents(number).into_iter().filter(|worker| Some(*worker) != keep) {
            if let Some(lease) = seize(store, keys, worker, held.ttl)? {
                store.release(keys, &lease)?;
            }
        }
        tracing::warn!(
            run = run.name(),
            node = nodes.name(number),
            "closed: its workers go on from what it passed on"
        );
        nodes.close(number);
        if nodes.write(store, keys, version)? {
            store.forget_reader(keys, number)?;
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: u32 = FIRST_NODE + 1;

    #[test]
    fn workers_of_a_node_share_its_number_and_come_back_to_it() {
        let mut nodes = Nodes::default();
        assert_eq!(nodes.arrive(0, Some("a")), Arrival::Here(A));
        assert_eq!(nodes.arrive(1, Some("b")), Arrival::Here(A + 1));
        assert_eq!(nodes.arrive(2, Some("a")), Arrival::Here(A));
        assert_eq!(nodes.arrive(3, None), Arrival::Global);
        assert_eq!(nodes.arrive(1, Some("b")), Arrival::Here(A + 1));
        assert_eq!((nodes.residents(A), nodes.numbers()), (vec![0, 2], A..A + 2));
    }

    #[test]
    fn a_worker_that_is_wanted_elsewhere_is_let_go_unless_it_comes_home() {
        let mut nodes = Nodes::default();
        nodes.arrive(0, Some("a"));
        assert_eq!(nodes.arrive(0, Some("b")), Arrival::Elsewhere(A));
        assert_eq!(nodes.leaving(A), [0]);
        assert_eq!(nodes.arrive(0, Some("a")), Arrival::Here(A));
        assert_eq!(nodes.leaving(A), [0; 0]);
        nodes.let_go(0);
        assert_eq!(nodes.arrive(0, None), Arrival::Global);
    }

    #[test]
    fn a_closed_node_comes_back_as_another() {
        let mut nodes = Nodes::default();
        nodes.arrive(0, Some("a"));
        nodes.close(A);
        assert!(!nodes.is_open(A));
        assert_eq!(nodes.arrive(0, Some("a")), Arrival::Here(A + 1));
        assert_eq!((nodes.name(A), nodes.name(A + 1)), ("a", "a"));
    }
}
