//! A node's synchronizer: a worker with two stores.
//!
//! The workers of a node push to the node's own store and fetch from there. The synchronizer brings the sum
//! of what they pushed to the global store, into the stream of the node, and what the others pushed there to
//! the node's, into the stream [`FROM_ABOVE`]. An entry that it writes says how far it had read: whoever
//! takes over reads that, and passes on the rest, so everything is passed on once, whoever dies.
//!
//! | file | what it is about |
//! |---|---|
//! | `relay` | one direction |
//! | `rounds` | the order of what it passes on where workers wait for one another |
//! | `takeover` | going on where a predecessor stopped |
//!
//! Every worker of the node brings a synchronizer along; the one that gets the lease of the node's stream in
//! the global store works, the others wait for it to expire or to be given back.

mod relay;
mod rounds;
mod takeover;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::relay::{Relay, RelayError};
use super::log::{self, Folded, LogError};
use super::nodes::{self, NodeRecord, Nodes};
use super::run::{Run, StopReason};
use super::site::Site;
use crate::state::{self, StateError, Versioned};
use crate::store::{FROM_ABOVE, Lease, RUN_TTL};

/// How long one read waits for something new; then it asks for new streams, too.
const READ_WAIT: Duration = Duration::from_millis(20);
/// Between two tries to become the one that works.
const TAKEOVER_LOOK: Duration = Duration::from_millis(100);
/// No push waits longer for others to go with it.
const LONGEST: Duration = Duration::from_millis(500);
/// Between two looks who is wanted on another node, and two records of what was done.
const TABLE_LOOK: Duration = Duration::from_millis(100);

/// The synchronizer that a worker brings along.
pub struct Synchronizer {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Synchronizer {
    /// Starts one, where the run's log is in a node's store.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn start(run: &Run) -> io::Result<Option<Self>> {
        let Some(site) = run.site.clone() else { return Ok(None) };
        let over = Arc::new(AtomicBool::new(false));
        let post = Post { run: run.clone(), site, over: over.clone() };
        let name = format!("node-{}", post.site.number);
        let thread = thread::Builder::new().name(name).spawn(move || post.wait_and_serve())?;
        Ok(Some(Self { over, thread: Some(thread) }))
    }

    /// Passes on what there is, if it is the one that works, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a synchronizer panicked");
            }
        }
    }
}

impl Drop for Synchronizer {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a synchronizer's thread knows.
struct Post {
    run: Run,
    site: Site,
    over: Arc<AtomicBool>,
}

/// The two directions, and what they share.
struct Relays {
    up: Relay,
    down: Relay,
}

impl Post {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn wait_and_serve(&self) {
        let number = self.site.number;
        while !self.is_over() {
            match nodes::claim(&self.run, number, self.site.ttl) {
                Ok(Some(lease)) => {
                    let served = self.serve(&lease);
                    self.hand_back(&lease, &served);
                    if served.is_ok() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(run = self.run.name(), %error, "no lease to synchronize"),
            }
            thread::park_timeout(TAKEOVER_LOOK);
        }
    }

    /// The table of nodes; where this one is open, nobody closes it any more who held the lease before.
    fn table(&self) -> Result<Nodes, StateError> {
        let (store, keys) = (&**self.run.store(), self.run.keys());
        loop {
            let Versioned { value: nodes, version } = Nodes::read(store, keys)?;
            // What they have read is not what stands there now.
            if !nodes.is_open(self.site.number) || nodes.write(store, keys, version)? {
                return Ok(nodes);
            }
        }
    }

    /// Synchronizes until it is told to end.
    fn serve(&self, lease: &Lease) -> Result<(), RelayError> {
        let nodes = self.table().map_err(LogError::from)?;
        if !nodes.is_open(self.site.number) {
            // Whoever worked here may have registered again before it knew.
            self.run.store().forget_reader(self.run.keys(), self.site.number)?;
            return Ok(());
        }
        let (local, keys) = (&*self.site.store, &self.site.keys);
        let below = nodes::seize(local, keys, FROM_ABOVE, self.site.ttl)?.ok_or(RelayError::Replaced)?;
        let Relays { mut up, mut down } = takeover::relays(&self.run, &self.site, lease, &below)?;
        tracing::info!(run = self.run.name(), node = nodes.name(self.site.number), "synchronizes");
        let failed = AtomicBool::new(false);
        let traffic = Traffic { node: nodes.name(self.site.number).to_owned(), ..Traffic::default() };
        let going = || !failed.load(Ordering::Relaxed) && !self.is_over();
        let served = thread::scope(|scope| {
            let downwards = scope.spawn(|| {
                let carried = self.carry_down(&mut down, &going, &traffic);
                failed.fetch_or(carried.is_err(), Ordering::Relaxed);
                carried
            });
            let carried = self.carry_up(&mut up, &going, &traffic);
            failed.fetch_or(carried.is_err(), Ordering::Relaxed);
            // A panic there is one here.
            carried.and(downwards.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        if served.is_ok() {
            self.leave(&mut up, &traffic)?;
        }
        self.site.store.release(&self.site.keys, &below)?;
        served
    }

    /// What the others pushed comes to the node at once.
    fn carry_down(
        &self,
        down: &mut Relay,
        going: &impl Fn() -> bool,
        traffic: &Traffic,
    ) -> Result<(), RelayError> {
        let mut snapshots = Snapshots::default();
        while going() {
            if !down.read(READ_WAIT, None)? && down.is_idle() {
                thread::sleep(Duration::from_millis(1));
            }
            traffic.from_global.store(down.passed().bytes_read, Ordering::Relaxed);
            snapshots.look(&self.run, down, traffic)?;
        }
        Ok(())
    }

    /// What the node's workers pushed goes to the others when enough has come together.
    fn carry_up(
        &self,
        up: &mut Relay,
        going: &impl Fn() -> bool,
        traffic: &Traffic,
    ) -> Result<(), RelayError> {
        let mut looked = Instant::now();
        while going() {
            if !up.read(READ_WAIT, None)? && up.is_idle() {
                thread::sleep(Duration::from_millis(1));
            }
            if up.is_due(self.run.config().n_sync, LONGEST) {
                up.pass_on(false)?;
            }
            traffic.to_global.store(up.passed().bytes, Ordering::Relaxed);
            if looked.elapsed() >= TABLE_LOOK {
                looked = Instant::now();
                self.let_go(up)?;
                self.record(up, traffic)?;
            }
        }
        Ok(())
    }

    /// Workers who are wanted on another node go there with everything that they have pushed here.
    fn let_go(&self, up: &mut Relay) -> Result<(), RelayError> {
        let (store, keys) = (&**self.run.store(), self.run.keys());
        let Versioned { value: mut nodes, version } = Nodes::read(store, keys).map_err(LogError::from)?;
        let leaving = nodes.leaving(self.site.number);
        if leaving.is_empty() {
            return Ok(());
        }
        for worker in &leaving {
            nodes::seize(&*self.site.store, &self.site.keys, *worker, self.site.ttl)?;
            nodes.let_go(*worker);
        }
        while up.read(Duration::ZERO, None)? {}
        if up.is_due(1, LONGEST) {
            up.pass_on(false)?;
        }
        let gone = nodes.write(store, keys, version).map_err(LogError::from)?;
        tracing::info!(run = self.run.name(), ?leaving, gone, "workers are wanted on another node");
        Ok(())
    }

    fn leave(&self, up: &mut Relay, traffic: &Traffic) -> Result<(), RelayError> {
        let stop = self.run.store().control(self.run.keys())?.stop;
        // The model is there already: what was pushed since is nobody's any more.
        if stop.as_deref() != Some(StopReason::Target.name()) {
            while up.read(Duration::ZERO, None)? {}
            if up.holds_something() {
                up.pass_on(true)?;
                // Whoever waits for this looks at how far the node's store was read.
                up.read(Duration::ZERO, None)?;
            }
        }
        self.record(up, traffic)
    }

    fn record(&self, up: &Relay, traffic: &Traffic) -> Result<(), RelayError> {
        let record = NodeRecord {
            node: traffic.node.clone(),
            synchronizations: up.passed().entries,
            bytes_to_global: up.passed().bytes,
            bytes_from_global: traffic.from_global.load(Ordering::Relaxed),
        };
        let (store, key) = (&**self.run.store(), self.run.keys().node(self.site.number));
        let found = state::get::<NodeRecord>(store, &key).map_err(LogError::from)?;
        let (old, version) = found.map_or_else(Default::default, |found| (found.value, found.version));
        if old == record {
            return Ok(());
        }
        match state::put(store, &key, &record, version, Some(RUN_TTL)) {
            // A predecessor that does not know yet that it was replaced: the next time.
            Ok(_) | Err(StateError::Conflict { .. }) => Ok(()),
            Err(error) => Err(LogError::from(error).into()),
        }
    }

    /// Whoever comes next need not wait until the lease expires.
    fn hand_back(&self, lease: &Lease, served: &Result<(), RelayError>) {
        let run = self.run.name();
        let mut closed = Ok(());
        match served {
            Ok(()) | Err(RelayError::Replaced) => {}
            Err(error) if error.is_loss() => {
                tracing::error!(run, %error, "a store has lost what the node had: its workers begin anew");
                closed = nodes::close(&self.run, lease, None);
            }
            Err(error) => tracing::warn!(run, %error, "synchronizing failed"),
        }
        let released = self.run.store().release(self.run.keys(), lease).map_err(LogError::from);
        if let Err(error) = closed.and(released) {
            tracing::warn!(run, %error, "the lease to synchronize was not given back");
        }
    }
}

/// What went over the network so far.
#[derive(Default)]
struct Traffic {
    node: String,
    to_global: AtomicU64,
    from_global: AtomicU64,
}

/// Snapshots of the global log, which nobody else writes where all workers push to nodes.
#[derive(Default)]
struct Snapshots {
    /// The newest one's version, and the traffic when it was first seen.
    version: u64,
    bytes: u64,
}

impl Snapshots {
    /// Folds and trims the log when it has grown too large.
    fn look(&mut self, run: &Run, down: &Relay, traffic: &Traffic) -> Result<(), RelayError> {
        let bytes = traffic.from_global.load(Ordering::Relaxed) + traffic.to_global.load(Ordering::Relaxed);
        if down.snapshot_version() != self.version {
            *self = Self { version: down.snapshot_version(), bytes };
        }
        let rows = run.config().architecture.rows();
        if bytes.saturating_sub(self.bytes) <= log::bound(&rows) {
            return Ok(());
        }
        self.bytes = bytes;
        close_empty_nodes(run, down.route().lease.ttl)?;
        let holder = &down.route().lease.holder;
        let folded = Folded::load(&**run.store(), run.keys(), &rows)?;
        folded.write(&**run.store(), run.keys(), holder)?;
        Ok(())
    }
}

/// Entries need not be kept any longer for nodes whose workers went elsewhere.
fn close_empty_nodes(run: &Run, ttl: Duration) -> Result<(), RelayError> {
    let nodes = Nodes::read(&**run.store(), run.keys()).map_err(LogError::from)?.value;
    let empty = |number: &u32| nodes.is_open(*number) && nodes.residents(*number).is_empty();
    for number in nodes.numbers().filter(empty) {
        if let Some(lease) = nodes::claim(run, number, ttl)? {
            nodes::close(run, &lease, None)?;
            run.store().release(run.keys(), &lease)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
