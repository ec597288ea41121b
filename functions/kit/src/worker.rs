//! A worker on a thread of its own, in flight until it ends.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use platform::replicas::Replicas;
use sgd_lib::dataset::Dataset;
use sgd_lib::downpour::{
    Carried, Database, Departure, Identity, LogError, Run, Settled, Surroundings, Synchronizer, Worker,
    WorkerError,
};
use sgd_lib::state::StateError;
use sgd_lib::store::{Claim, Lease, Store, StoreError};
use tokio::runtime::Handle;
use watchdog::{Call, InFlight, Shutdown};

use crate::gauge::Gauge;
use crate::succession::Succession;
use crate::{Host, Refusal, Seat, carried, host};

pub use crate::succession::TRAIN_FUNCTION;

/// A lease lasts this long without a renewal.
const LEASE: Duration = Duration::from_secs(2);
/// A worker leaves this long before its time is up, to flush and hand over; where it has less than twice as long, after
/// half of its time.
const MARGIN: Duration = Duration::from_millis(500);

/// A node's store, and the node's name.
type LocalStore = (Arc<dyn Store>, String);

/// A place in a run.
pub struct Place {
    /// Names the invocation that asks for it.
    pub name: String,
    /// The worker to become, or any.
    pub worker: Option<u32>,
    /// The token of the lease that its holder gives up to this invocation.
    pub from: Option<u64>,
    /// Its place in this replica.
    pub seat: Option<Seat>,
}

/// Claims a place in the run and starts a worker there. Both are done even if the
/// caller leaves meanwhile and the handler's future is dropped: a lease without a worker would look like
/// one to whoever asks again.
///
/// # Errors
/// The store fails, or no thread can be started.
pub async fn begin(
    host: &Arc<Host>,
    call: Call,
    run: Run,
    data: Arc<Dataset>,
    place: Place,
) -> Result<Claim, Refusal> {
    let host = host.clone();
    host::blocking(move || {
        // Before the claim: a store that does not answer costs as long as a lease lasts.
        let local = local_store(&host, &run)?;
        let replicas = run.config().is_elastic().then(|| host.replicas()).transpose()?;
        let claim = run.claim_from(&place.name, place.worker, place.from, LEASE)?;
        if let Claim::Granted { lease, resumed, .. } = &claim {
            let run = settle(run, lease, local.as_ref())?;
            start(&host, &call, run, data, (lease.clone(), *resumed), place.seat, replicas)?;
        }
        Ok(claim)
    })
    .await
}

/// The store and the name of this node, where the run has workers push to such, and there is one.
fn local_store(host: &Host, run: &Run) -> Result<Option<LocalStore>, Refusal> {
    if run.config().database == Database::Global {
        return Ok(None);
    }
    let own = host.identity.node.as_str();
    let named = |store: Arc<dyn Store>| Ok((store.clone(), platform::store::node_name(&*store, own)?));
    let local: Result<LocalStore, StoreError> = host.local_store()?.and_then(named);
    if let Err(error) = &local {
        tracing::warn!(run = run.name(), %error, "no store on this node: the global one serves");
    }
    Ok(local.ok())
}

/// Finds the store that the worker pushes to; gives the place back where that is on another node.
fn settle(run: Run, lease: &Lease, local: Option<&LocalStore>) -> Result<Run, Refusal> {
    if run.config().database == Database::Global {
        return Ok(run);
    }
    let local = local.map(|(store, node)| (store, node.as_str()));
    let settled = run.clone().settle(lease, local);
    if !matches!(settled, Ok(Settled::Here(_))) {
        run.store().release(run.keys(), lease)?;
    }
    match settled? {
        Settled::Here(run) => Ok(*run),
        Settled::Elsewhere { node } => Err(Refusal::busy(format!(
            "worker {} is at home on {node}, which has not passed on all that it pushed",
            lease.worker
        ))),
    }
}

fn start(
    host: &Arc<Host>,
    call: &Call,
    run: Run,
    data: Arc<Dataset>,
    (lease, resumed): (Lease, bool),
    seat: Option<Seat>,
    replicas: Option<Replicas>,
) -> Result<(), Refusal> {
    let task = Task {
        host: host.clone(),
        in_flight: Some(call.in_flight()),
        seat,
        surroundings: Replica {
            host: host.clone(),
            run: run.name().to_owned(),
            gauge: replicas.map(|replicas| Gauge::new(replicas, Handle::current())),
            shutdown: call.shutdown(),
            leave_at: call.deadline.map(leave_at),
            runtime: Handle::current(),
            recruiting: Arc::default(),
        },
        run,
        data,
        lease,
        resumed,
    };
    thread::Builder::new()
        .name(format!("worker-{}", task.lease.worker))
        .spawn(move || task.train())
        .context("starting the worker's thread")?;
    Ok(())
}

/// When to leave, to have handed over by `deadline`.
fn leave_at(deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    deadline.checked_sub(MARGIN.min(left / 2)).unwrap_or(deadline)
}

/// A worker and what it needs.
struct Task {
    host: Arc<Host>,
    in_flight: Option<InFlight>,
    seat: Option<Seat>,
    surroundings: Replica,
    run: Run,
    data: Arc<Dataset>,
    lease: Lease,
    resumed: bool,
}

impl Task {
    fn train(mut self) {
        let (run, worker) = (self.run.name().to_owned(), self.lease.worker);
        let departure = self.departure();
        self.seat = None;
        match departure {
            Ok(Departure::HandedOver) => {
                tracing::info!(run, worker, "hands over");
                self.give_way_to(self.surroundings.succession(worker));
                return;
            }
            Ok(Departure::EpochEnded { next }) => {
                let (invoker, token) = (self.host.invoker.clone(), self.lease.token);
                if self.give_way_to(Succession::of_epoch(invoker, &run, worker, next, token)) {
                    return;
                }
                self.give_up();
            }
            left => {
                match &left {
                    Ok(departure) => tracing::info!(run, worker, ?departure, "left"),
                    Err(error) => tracing::error!(run, worker, %error, "failed"),
                }
                let local = self.run.config().database == Database::Local;
                if knows_too_much(&left) || (local && is_without_a_store(&left)) {
                    self.give_up();
                    if self.give_way_to(self.surroundings.succession(worker)) {
                        return;
                    }
                }
            }
        }
        if let Err(error) = self.run.tidy() {
            tracing::warn!(run, %error, "the run's log could not be deleted; it expires by itself");
        }
    }

    /// A replica that goes on may take the call itself, so this worker counts no longer; one that shuts
    /// down has to stay until somebody has the call. Returns whether somebody has it.
    fn give_way_to(&mut self, succession: Succession) -> bool {
        if !self.surroundings.shutdown.is_requested() {
            self.in_flight = None;
        }
        self.surroundings.runtime.block_on(succession.find())
    }

    /// Nobody took the lease over: the run has been stopped meanwhile, or the others have to look for
    /// somebody. Neither should wait until it expires.
    fn give_up(&self) {
        if let Err(error) = self.run.store().release(self.run.keys(), &self.lease) {
            tracing::warn!(worker = self.lease.worker, %error, "the lease could not be given back; it expires");
        }
    }

    fn departure(&self) -> Result<Departure, WorkerError> {
        let identity =
            Identity { node: self.host.identity.node.clone(), pod: self.host.identity.pod.clone() };
        let (train, test) = (self.data.train(), self.data.test());
        let lease = self.lease.clone();
        let synchronizer = Synchronizer::start(&self.run)?;
        let departure =
            Worker::new(&self.run, lease, self.resumed, &identity, train, test, &self.surroundings)
                .and_then(Worker::train);
        if let Some(synchronizer) = synchronizer {
            synchronizer.stop();
        }
        departure
    }
}

/// Whether the store was restarted without what this worker had pushed or read: who begins anew, with what the
/// store has, can go on.
fn knows_too_much(departure: &Result<Departure, WorkerError>) -> bool {
    matches!(departure, Err(WorkerError::Log(error)) if error.is_forgotten())
}

/// Whether the store of the worker's node may be gone: then all workers there leave at once, and nobody may
/// be left to look for successors, who do without it. Where somebody has the place the call for one ends.
fn is_without_a_store(departure: &Result<Departure, WorkerError>) -> bool {
    match departure {
        Ok(departure) => *departure == Departure::Replaced,
        Err(WorkerError::Log(LogError::Store(error))) => {
            error.is_transient() || matches!(error, StoreError::Emptied { .. })
        }
        Err(error) => matches!(error, WorkerError::Log(LogError::NoSnapshot { .. })),
    }
}

/// The replica, as a worker sees it.
struct Replica {
    host: Arc<Host>,
    run: String,
    /// Where workers come and go: how many there is room for.
    gauge: Option<Gauge>,
    shutdown: Shutdown,
    leave_at: Option<Instant>,
    runtime: Handle,
    /// Workers for whom a successor is being looked for.
    recruiting: Arc<Mutex<HashSet<u32>>>,
}

impl Replica {
    /// Somebody else who becomes `worker`; where workers follow replicas, in one that has none of the run.
    fn succession(&self, worker: u32) -> Succession {
        let succession = Succession::of(self.host.invoker.clone(), &self.run, worker);
        if self.gauge.is_some() { succession.alone() } else { succession }
    }
}

impl Surroundings for Replica {
    fn must_leave(&self) -> bool {
        self.shutdown.is_requested() || self.leave_at.is_some_and(|leave_at| Instant::now() >= leave_at)
    }

    fn recruit(&self, worker: u32) {
        let recruiting = self.recruiting.clone();
        let mark = move |recruiting: &Mutex<HashSet<u32>>, add: bool| {
            let mut workers = recruiting.lock().unwrap_or_else(PoisonError::into_inner);
            if add { workers.insert(worker) } else { workers.remove(&worker) }
        };
        if mark(&recruiting, true) {
            let succession = self.succession(worker);
            self.runtime.spawn(async move {
                succession.find().await;
                mark(&recruiting, false);
            });
        }
    }

    fn room(&self) -> Option<u32> {
        self.gauge.as_ref()?.read()
    }

    fn pick_up(&self, worker: u32) -> Result<Option<Carried>, StateError> {
        self.runtime.block_on(carried::pick_up(&self.host.store, &self.run, worker)).map(Some)
    }

    fn leave(&self, worker: u32, carried: Carried) -> Result<(), StateError> {
        self.runtime.block_on(carried::leave(&self.host.store, &self.run, worker, carried))
    }
}
