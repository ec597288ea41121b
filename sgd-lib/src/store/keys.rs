//! The names under which a run keeps its state.

use std::fmt;

/// The keys of one run. All share the hash tag `{run}`, so scripts and pipelines also work on
/// Redis Cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct RunKeys {
    run: String,
    /// The number of the node whose part of the run this is.
    node: Option<u32>,
}

/// A run's name that can't be one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("run {found:?}: a run's name is 1 to 64 letters, digits or dashes")]
pub struct RunIdError {
    found: String,
}

/// The streams of workers have numbers below this, those of nodes' synchronizers this and more. Any number
/// of synchronizers may come and go, also in a run that was stopped.
pub const FIRST_NODE: u32 = 1 << 16;

/// In a node's store, the stream of what the node's synchronizer brings from the global store.
pub const FROM_ABOVE: u32 = FIRST_NODE;

/// The sorted set of all runs, by time of creation.
pub(super) const RUNS: &str = "dp:runs";

impl RunKeys {
    /// The keys of the run of this name.
    ///
    /// # Errors
    /// The name is empty, longer than 64 bytes, or has a character other than letters, digits and dashes.
    pub fn new(run: &str) -> Result<Self, RunIdError> {
        let fits = (1..=64).contains(&run.len())
            && run.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if fits {
            Ok(Self { run: run.to_owned(), node: None })
        } else {
            Err(RunIdError { found: run.chars().take(80).collect() })
        }
    }

    /// The run's name.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The keys of the run's part on a node, in that node's store.
    pub fn on_node(&self, node: u32) -> Self {
        Self { run: self.run.clone(), node: Some(node) }
    }

    /// Whether these are the keys of the whole run.
    pub(super) fn is_whole(&self) -> bool {
        self.node.is_none()
    }

    /// What every key of the run starts with.
    pub fn prefix(&self) -> String {
        match self.node {
            Some(node) => format!("dp:{{{}}}:{node}:", self.run),
            None => format!("dp:{{{}}}:", self.run),
        }
    }

    fn key(&self, name: &str) -> String {
        self.prefix() + name
    }

    /// Typed state: everything that setup decided.
    pub fn config(&self) -> String {
        self.key("config")
    }

    /// Hash: stop flag and reason, number of workers.
    pub fn control(&self) -> String {
        self.key("control")
    }

    /// Hash: which fan-out call became which worker.
    pub(super) fn places(&self) -> String {
        self.key("places")
    }

    /// Set: every worker that ever fenced.
    pub(super) fn streams(&self) -> String {
        self.key("streams")
    }

    /// Stream: a worker's pushes.
    pub(super) fn log(&self, worker: u32) -> String {
        self.key(&format!("log:{worker}"))
    }

    /// String: a worker's lease.
    pub(super) fn lease(&self, worker: u32) -> String {
        self.key(&format!("lease:{worker}"))
    }

    /// Hash: version, vector and parameters of the snapshot.
    pub(super) fn snapshot(&self) -> String {
        self.key("snapshot")
    }

    /// String: a lock that expires.
    pub(super) fn lock(&self, name: &str) -> String {
        self.key(&format!("lock:{name}"))
    }

    /// Hash: readers that must see every entry, and how far each has read.
    pub(super) fn readers(&self) -> String {
        self.key("readers")
    }

    /// Stream: progress.
    pub(super) fn events(&self) -> String {
        self.key("events")
    }

    /// Typed state: what a worker did.
    pub fn worker(&self, worker: u32) -> String {
        self.key(&format!("worker:{worker}"))
    }

    /// Typed state: the run's nodes, and which worker is at home where.
    pub fn nodes(&self) -> String {
        self.key("nodes")
    }

    /// Typed state: what a node's synchronizer did.
    pub fn node(&self, node: u32) -> String {
        self.key(&format!("node:{node}"))
    }

    /// Typed state: what a worker left to its successor.
    pub fn carried(&self, worker: u32) -> String {
        format!("{}{worker}", self.every_carried())
    }

    /// Typed state: which minibatches workers gave to others.
    pub(crate) fn relief(&self) -> String {
        self.key("relief")
    }

    /// Typed state: which minibatches were given to whom, where workers come and go.
    pub(crate) fn allotment(&self) -> String {
        self.key("allotment")
    }

    /// What the keys of [`RunKeys::carried`] start with.
    pub(super) fn every_carried(&self) -> String {
        self.key("carried:")
    }

    /// Blob: the final parameters and their accuracy.
    pub fn model(&self) -> String {
        self.key("model")
    }
}

impl fmt::Debug for RunKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunKeys({})", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_hash_tag() {
        let keys = RunKeys::new("r-1").unwrap();
        assert_eq!(keys.config(), "dp:{r-1}:config");
        assert!(keys.log(3).starts_with(&keys.prefix()));
        assert_eq!(keys.on_node(70_000).config(), "dp:{r-1}:70000:config");
    }

    #[test]
    fn a_name_that_would_break_the_hash_tag_is_refused() {
        for name in ["", "a}b", "a:b", "ä", &"x".repeat(65)] {
            assert!(RunKeys::new(name).is_err(), "{name}");
        }
    }
}
