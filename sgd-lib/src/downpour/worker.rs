//! The training loop.

mod compute;
mod ending;
mod epoch;
mod portions;
mod relief;
mod start;
mod talk;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use super::carried::Carried;
use super::config::RunConfig;
use super::evaluator::Evaluator;
use super::event::Event;
use super::link::{self, FarEnd, GlobalEnd, Link};
use super::log::{Folded, LogError, Until};
use super::partition::Partition;
use super::record::WorkerRecord;
use super::relief::Relief;
use super::replica::Replica;
use super::run::{Run, StopReason};
use super::schedule::{Schedule, Since};
use crate::codec::CodecError;
use crate::dataset::Split;
use crate::state::{self, StateError};
use crate::store::{EntryId, Lease, Progress, RUN_TTL, RunKeys, Store, StoreError};
use compute::Training;
use portions::Share;
use start::{check_data, read_record, wait_for_start};

pub use compute::{Compute, Computed};

/// Why a worker could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The store, or what is in it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The parameters can't be pushed any more.
    #[error("training diverged: {0}; a lower alpha may help")]
    Diverged(#[from] CodecError),
    /// The data don't fit the run.
    #[error("the data have {found} {what}; the run wants {wanted}")]
    Data {
        /// What differs.
        what: &'static str,
        /// What the data have.
        found: u64,
        /// What the run was set up for.
        wanted: u64,
    },
    /// No thread could be started.
    #[error("starting the thread that talks to the store: {0}")]
    Thread(#[from] std::io::Error),
    /// Nobody takes the place of a worker for whom the others wait.
    #[error("worker {worker} has been gone for {seconds} s, and nobody has taken its place; all wait for it")]
    Abandoned {
        /// The worker.
        worker: u32,
        /// How long nobody has held its lease.
        seconds: u64,
    },
    /// The thread that talks to the store is gone.
    #[error("the thread that talks to the store ended")]
    LinkEnded,
}

impl From<StoreError> for WorkerError {
    fn from(error: StoreError) -> Self {
        Self::Log(error.into())
    }
}

impl From<StateError> for WorkerError {
    fn from(error: StateError) -> Self {
        Self::Log(error.into())
    }
}

/// How a worker left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The run is over.
    Finished(StopReason),
    /// It was asked to go, and pushed everything that it had; another may go on where it stopped.
    HandedOver,
    /// Its part of an epoch is done and pushed, and each invocation does one: another has to go on
    /// with the next. The lease is still held, for that one to take over.
    EpochEnded {
        /// The epoch to go on with.
        next: u32,
    },
    /// Somebody else holds its lease, or the run was deleted.
    Replaced,
    /// The run goes on without it: it has fewer workers than places were given, or the others do what it has
    /// left.
    Surplus,
}

/// Where a worker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The machine.
    pub node: String,
    /// The replica.
    pub pod: String,
}

/// What a worker asks of the place it runs in.
pub trait Surroundings: Send + Sync {
    /// Whether it has to leave soon; asked before each minibatch, so it must be cheap.
    fn must_leave(&self) -> bool;

    /// Somebody should take the place of this worker, or come as it. Must not block; may be called again.
    fn recruit(&self, worker: u32);

    /// How many workers there is room for at the moment, where that is known: a run whose workers come and go
    /// follows it. Asked several times a second by one of them; must not block.
    fn room(&self) -> Option<u32> {
        None
    }

    /// What the predecessor of this worker left, if it is kept anywhere.
    ///
    /// # Errors
    /// It can't be read.
    fn pick_up(&self, _worker: u32) -> Result<Option<Carried>, StateError> {
        Ok(None)
    }

    /// Keeps what the successor of this worker needs beside the log: without it the optimizer starts anew.
    /// Of two that are left for the same worker, the one that [supersedes](Carried::supersedes) stays.
    ///
    /// # Errors
    /// It can't be kept.
    fn leave(&self, _worker: u32, _carried: Carried) -> Result<(), StateError> {
        Ok(())
    }
}

/// One worker of a run: a lease, a shard, a copy of the parameters.
pub struct Worker<'a> {
    store: Arc<dyn Store>,
    run: RunKeys,
    config: RunConfig,
    lease: Lease,
    surroundings: &'a dyn Surroundings,
    partition: Partition,
    schedule: Box<dyn Schedule>,
    replica: Replica,
    link: Link,
    compute: Box<dyn Compute + 'a>,
    evaluator: Evaluator<'a>,
    /// Where the worker stands, its predecessors' work included.
    progress: Progress,
    /// What it did since the last push and fetch.
    since: Since,
    /// The number, among its own of the epoch, of the minibatch that it computed last.
    last: u32,
    /// Pushes since the last fetch.
    unfetched_pushes: u64,
    /// Buffers that travel through the link and back.
    payload: Vec<u8>,
    sum: Vec<f32>,
    snapshot_due: bool,
    /// What each worker had done at the last fetch.
    stands: Vec<Progress>,
    /// The next request is answered when everything is in the global store.
    pass_on: bool,
    /// The last fetch found everybody where this worker waits for them.
    complete: bool,
    /// Since when somebody for whom this worker may wait has been gone.
    gone_since: Option<(u32, Instant)>,
    /// Who does whose minibatches, as far as this worker has read.
    relief: Relief,
    /// Where workers come and go: what this one does.
    share: Option<Share>,
    /// Whether its predecessor left by plan.
    planned: bool,
    /// Why training has to end, once it has.
    ending: Option<Departure>,
    record: WorkerRecord,
    record_version: u64,
    events: Vec<Vec<u8>>,
    /// Since the last event of progress: when, samples, loss.
    told: (Instant, u64),
    loss_sum: f64,
    /// The store's clock at a moment of ours.
    clock: (u64, Instant),
}

impl<'a> Worker<'a> {
    /// Prepares a worker that holds `lease`: waits until the number of workers is fixed, loads the
    /// parameters, finds its position in the log.
    ///
    /// # Errors
    /// The store fails, or the data are not those that the run was set up for.
    pub fn new(
        run: &Run,
        lease: Lease,
        resumed: bool,
        identity: &Identity,
        train: Split<'a>,
        test: Split<'a>,
        surroundings: &'a dyn Surroundings,
    ) -> Result<Self, WorkerError> {
        let (store, keys, config) = (run.store(), run.keys(), run.config());
        check_data(config, train, test)?;
        let clock = (store.now_ms()?, Instant::now());
        let workers = wait_for_start(&**store, keys, &lease, config)?;
        let partition = Partition::new(train.len(), config.batch_size, workers);
        let schedule = config.algorithm.schedule(config, partition, lease.worker);
        let rows = config.architecture.rows();
        let stream = match &run.site {
            Some(site) => site.take_stream(lease.worker)?,
            None => lease.clone(),
        };
        let folded = load(run, &stream, &*schedule)?;
        let mut progress = folded.progress(lease.worker);
        if run.site.is_some() {
            let global = Folded::load(&**store, keys, &rows)?;
            progress = progress.farther(global.progress(lease.worker));
        }
        let carried = surroundings.pick_up(lease.worker)?.filter(|carried| carried.fits(progress.at));
        let planned = carried.as_ref().is_some_and(Carried::is_planned);
        let unplanned = resumed && !planned && !config.is_elastic();
        let (record, record_version) = read_record(run, &lease, identity, unplanned)?;
        let stands = (0..workers).map(|worker| folded.progress(worker)).collect();
        let parameters = config.architecture.parameter_count();
        let (log, log_keys) = run.log();
        let global = run.site.clone().map(|site| GlobalEnd::new(run, lease.clone(), site));
        let far_end =
            FarEnd::new(log.clone(), log_keys.clone(), stream, rows.clone(), workers, &folded, global);
        let fence = EntryId { token: lease.token, seq: 0 };
        let far_end = if config.is_elastic() { far_end.of_all_who_come() } else { far_end };
        let snapshots = !schedule.is_synchronous() && link::are_worth_it(config, workers)?;
        let mut worker = Self {
            link: Link::start(far_end.fetching_snapshots(snapshots), lease.worker)?,
            replica: Replica::new(folded.parameters, config.codec, &rows, schedule.coupling()),
            compute: Box::new(Training::new(config, train)),
            evaluator: Evaluator::new(&config.architecture, test),
            store: store.clone(),
            run: keys.clone(),
            config: config.clone(),
            lease,
            surroundings,
            partition,
            schedule,
            progress,
            since: Since::default(),
            last: 0,
            unfetched_pushes: 0,
            payload: Vec::new(),
            sum: vec![0.0; parameters],
            snapshot_due: false,
            stands,
            pass_on: false,
            complete: false,
            gone_since: None,
            relief: Relief::default(),
            share: Share::of(config, partition, fence, progress.at),
            planned,
            ending: None,
            record,
            record_version,
            events: Vec::new(),
            told: (Instant::now(), progress.samples),
            loss_sum: 0.0,
            clock,
        };
        if let Some(carried) = carried {
            worker.take_up(&carried);
        }
        if resumed {
            worker.take_over_shard()?;
        }
        Ok(worker)
    }

    /// The same worker, with something else to do with a minibatch than training on it.
    #[must_use]
    pub fn computing(mut self, compute: Box<dyn Compute + 'a>) -> Self {
        self.compute = compute;
        self
    }

    /// Trains until the run is over, the worker has to leave, or somebody replaced it.
    ///
    /// # Errors
    /// The store can't be reached for longer than it is patient, or training diverged. What was
    /// pushed stays pushed; another worker can go on from there.
    pub fn train(mut self) -> Result<Departure, WorkerError> {
        if self.share.is_none() && self.lease.worker >= self.partition.workers() {
            self.link.close();
            self.store.release(&self.run, &self.lease)?;
            return Ok(Departure::Surplus);
        }
        self.begin()?;
        if self.share.is_some() {
            self.take_part()?;
        } else {
            self.all_epochs()?;
        }
        self.leave()
    }

    /// The worker's part of each epoch.
    fn all_epochs(&mut self) -> Result<(), WorkerError> {
        while self.ending.is_none() && self.progress.at.epoch < self.config.epochs {
            self.epoch()?;
            let next = self.progress.at.epoch;
            if self.ending.is_none() && self.config.invocation_is_an_epoch() && next < self.config.epochs {
                self.ending = Some(Departure::EpochEnded { next });
            }
        }
        if self.ending.is_none() {
            self.wait_for_the_others()?;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<(), WorkerError> {
        if self.record.started_ms == 0 {
            self.record.started_ms = self.now_ms();
        }
        self.write_record()?;
        self.tell(&Event::Started {
            worker: self.lease.worker,
            node: self.record.node.clone(),
            pod: self.record.pod.clone(),
            resumed: self.record.invocations > 1,
            planned: self.planned,
        })?;
        self.meet()
    }

    /// The store's clock.
    fn now_ms(&self) -> u64 {
        self.clock.0 + u64::try_from(self.clock.1.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn write_record(&mut self) -> Result<(), WorkerError> {
        if self.ending == Some(Departure::Replaced) {
            return Ok(());
        }
        let key = self.run.worker(self.lease.worker);
        self.record.reach(self.progress);
        // A predecessor that does not know yet that it was replaced, or a successor that this worker
        // does not know of, may have written meanwhile: whoever still holds the lease writes again.
        match state::put(&*self.store, &key, &self.record, self.record_version, Some(RUN_TTL)) {
            Ok(version) => self.record_version = version,
            Err(StateError::Conflict { .. }) => {
                let found = self.store.read(&key)?;
                self.record_version = found.map_or(0, |found| found.version);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// The parameters that a worker starts from: those that it had when it stopped, as far as they were pushed.
fn load(run: &Run, stream: &Lease, schedule: &dyn Schedule) -> Result<Folded, LogError> {
    let awaited = |at| schedule.awaited(at);
    let until = if schedule.is_synchronous() { Until::Stand(stream.worker, &awaited) } else { Until::End };
    let (log, keys) = run.log();
    let folded = Folded::load_until(&**log, keys, &run.config().architecture.rows(), until)?;
    // A store that was restarted since the claim may have lost it, and by now be asked over connections that are older
    // than what was read here: nobody would compare.
    if folded.vector.get(&stream.worker).is_none_or(|last| last.id.token < stream.token) {
        return Err(LogError::Forgot { run: keys.run().to_owned(), what: "the fence" });
    }
    Ok(folded)
}
