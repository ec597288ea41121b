//! The training loop.

mod ending;
mod talk;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::RunConfig;
use super::evaluator::Evaluator;
use super::event::Event;
use super::link::{FarEnd, GlobalEnd, Link};
use super::log::{Folded, LogError};
use super::record::{Model, WorkerRecord};
use super::replica::Replica;
use super::run::{Run, StopReason};
use crate::codec::CodecError;
use crate::dataset::{EpochOrder, Split};
use crate::network::{Backprop, Centring, DropoutKey, Minibatch};
use crate::optimizer::Optimizer;
use crate::state;
use crate::store::{
    self, Control, Cursors, Exchange, Lease, Position, Progress, RUN_TTL, RunKeys, Store, StoreError,
};

/// How long a worker waits for setup to say how many workers there are.
const START_PATIENCE: Duration = Duration::from_secs(15);
/// Between two events of a worker's progress.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

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
    /// The thread that talks to the store is gone.
    #[error("the thread that talks to the store ended")]
    LinkEnded,
}

impl From<StoreError> for WorkerError {
    fn from(error: StoreError) -> Self {
        Self::Log(error.into())
    }
}

impl From<state::StateError> for WorkerError {
    fn from(error: state::StateError) -> Self {
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
    /// Somebody else holds its lease, or the run was deleted.
    Replaced,
    /// The run has fewer workers than places were given: its minibatches belong to others.
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

    /// Somebody should take the place of this worker. Must not block; may be called again.
    fn recruit(&self, worker: u32);
}

/// One worker of a run: a lease, a shard, a copy of the parameters.
pub struct Worker<'a> {
    store: Arc<dyn Store>,
    run: RunKeys,
    config: RunConfig,
    lease: Lease,
    surroundings: &'a dyn Surroundings,
    train: Split<'a>,
    /// Workers of the run.
    workers: u32,
    replica: Replica,
    link: Link,
    backprop: Backprop,
    centring: Option<Centring>,
    optimizer: Box<dyn Optimizer>,
    evaluator: Evaluator<'a>,
    order: EpochOrder,
    gradient: Vec<f32>,
    /// Where the worker stands, its predecessors' work included.
    progress: Progress,
    /// Minibatches since the last push and fetch.
    since_push: u32,
    since_fetch: u32,
    /// Pushes since the last fetch.
    unfetched_pushes: u64,
    /// Buffers that travel through the link and back.
    payload: Vec<u8>,
    sum: Vec<f32>,
    snapshot_due: bool,
    all_done: bool,
    /// The next request is answered when everything is in the global store.
    pass_on: bool,
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
        let workers = wait_for_start(&**store, keys, &lease)?;
        let rows = config.architecture.rows();
        let stream = match &run.site {
            Some(site) => site.take_stream(lease.worker)?,
            None => lease.clone(),
        };
        let (log, log_keys) = run.log();
        let folded = Folded::load(&**log, log_keys, &rows)?;
        let mut progress = store::progress(&folded.vector, lease.worker);
        if run.site.is_some() && resumed {
            let global = Folded::load(&**store, keys, &rows)?;
            progress = progress.farther(store::progress(&global.vector, lease.worker));
        }
        let (record, record_version) = read_record(run, &lease, identity, resumed)?;
        let parameters = config.architecture.parameter_count();
        let link = Link::start(far_end(run, &lease, stream, workers, &folded))?;
        Ok(Self {
            link,
            replica: Replica::new(folded.parameters, config.codec, &rows),
            backprop: Backprop::new(&config.architecture, config.batch_size as usize, config.dropout),
            centring: config.optimizer.is_linear().then(|| Centring::new(&config.architecture, train)),
            optimizer: config.optimizer.build(parameters),
            evaluator: Evaluator::new(&config.architecture, test),
            order: EpochOrder::new(train.len()),
            gradient: vec![0.0; parameters],
            store: store.clone(),
            run: keys.clone(),
            config: config.clone(),
            lease,
            surroundings,
            train,
            workers,
            progress,
            since_push: 0,
            since_fetch: 0,
            unfetched_pushes: 0,
            payload: Vec::new(),
            sum: vec![0.0; parameters],
            snapshot_due: false,
            all_done: false,
            pass_on: false,
            ending: None,
            record,
            record_version,
            events: Vec::new(),
            told: (Instant::now(), progress.samples),
            loss_sum: 0.0,
            clock,
        })
    }

    /// Trains until the run is over, the worker has to leave, or somebody replaced it.
    ///
    /// # Errors
    /// The store can't be reached for longer than it is patient, or training diverged. What was
    /// pushed stays pushed; another worker can go on from there.
    pub fn train(mut self) -> Result<Departure, WorkerError> {
        if self.lease.worker >= self.workers {
            self.link.close();
            self.store.release(&self.run, &self.lease)?;
            return Ok(Departure::Surplus);
        }
        self.begin()?;
        while self.ending.is_none() && self.progress.at.epoch < self.config.epochs {
            self.epoch()?;
        }
        if self.ending.is_none() {
            self.wait_for_the_others()?;
        }
        self.leave()
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
            resumed: self.record.handovers > 0,
        })
    }

    /// The rest of the epoch that the worker stands in.
    fn epoch(&mut self) -> Result<(), WorkerError> {
        let epoch = self.progress.at.epoch;
        self.order.shuffle(self.config.seed, epoch);
        let total = self.order.minibatches(self.config.batch_size as usize) as u32;
        // Minibatch i belongs to worker i mod M: each to exactly one.
        let own = total.saturating_sub(self.lease.worker).div_ceil(self.workers);
        while self.progress.at.minibatch < own {
            if self.surroundings.must_leave() {
                self.ending = Some(Departure::HandedOver);
            }
            if self.ending.is_some() {
                return Ok(());
            }
            let trained = self.step(epoch, own)?;
            self.talk(own)?;
            self.evaluate(trained)?;
        }
        self.progress.at = Position { epoch: epoch + 1, minibatch: 0 };
        self.record.epochs = epoch + 1;
        self.flush()?;
        self.write_record()?;
        if self.lease.worker == 0 && self.config.target_accuracy.is_none() {
            let evaluation = self.evaluator.sample(self.replica.base());
            self.tell_evaluation(evaluation, false)?;
        }
        Ok(())
    }

    /// Trains on one minibatch. Returns its number of samples.
    fn step(&mut self, epoch: u32, own: u32) -> Result<u64, WorkerError> {
        let at = self.progress.at.minibatch;
        let index = self.lease.worker + at * self.workers;
        let samples = self.order.minibatch(index as usize, self.config.batch_size as usize);
        let done = (f64::from(epoch) + f64::from(at) / f64::from(own)) / f64::from(self.config.epochs);
        let rate = self.config.schedule.rate(self.config.learning_rate, done);
        let minibatch = Minibatch { split: self.train, samples };
        let key = DropoutKey { seed: self.config.seed, epoch, minibatch: index };
        let parameters = self.replica.parameters();
        self.loss_sum += self.backprop.gradient(parameters, &minibatch, key, &mut self.gradient);
        if let Some(centring) = &mut self.centring {
            centring.apply(&mut self.gradient);
        }
        self.optimizer.step(rate, &self.gradient, parameters);
        let trained = samples.len() as u64;
        self.progress.at.minibatch += 1;
        self.progress.minibatches += 1;
        self.progress.samples += trained;
        self.since_push += 1;
        self.since_fetch += 1;
        Ok(trained)
    }

    /// Worker 0 tries the parameters as soon as they may have reached the target. It waits for the
    /// push in flight, so that what is tried depends on counts only, not on the clock.
    fn evaluate(&mut self, trained: u64) -> Result<(), WorkerError> {
        let Some(target) = self.config.target_accuracy else { return Ok(()) };
        if self.lease.worker != 0 || !self.evaluator.is_due(trained) {
            return Ok(());
        }
        self.settle()?;
        let sample = self.evaluator.sample(self.replica.base());
        self.tell_evaluation(sample, false)?;
        if sample.accuracy() < target {
            return Ok(());
        }
        let whole = self.evaluator.whole(self.replica.base());
        self.tell_evaluation(whole, true)?;
        if whole.accuracy() >= target {
            let model = Model { evaluation: whole, parameters: self.replica.base().to_vec() };
            model.create(&*self.store, &self.run)?;
            let reason = self.store.stop(&self.run, StopReason::Target.name())?;
            self.ending = Some(Departure::Finished(reason.parse().unwrap_or(StopReason::Requested)));
        }
        Ok(())
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
        self.record.minibatches = self.progress.minibatches;
        self.record.samples = self.progress.samples;
        self.record.pushes = self.progress.pushes;
        // A predecessor that does not know yet that it was replaced, or a successor that this worker
        // does not know of, may have written meanwhile: whoever still holds the lease writes again.
        match state::put(&*self.store, &key, &self.record, self.record_version, Some(RUN_TTL)) {
            Ok(version) => self.record_version = version,
            Err(state::StateError::Conflict { .. }) => {
                let found = self.store.read(&key)?;
                self.record_version = found.map_or(0, |found| found.version);
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

fn check_data(config: &RunConfig, train: Split<'_>, test: Split<'_>) -> Result<(), WorkerError> {
    let wanted = config.architecture.inputs() as u64;
    for split in [train, test] {
        let found = split.pixels as u64;
        if found != wanted {
            return Err(WorkerError::Data { what: "pixels per image", found, wanted });
        }
    }
    for (what, split) in [("training images", train), ("test images", test)] {
        if split.is_empty() {
            return Err(WorkerError::Data { what, found: 0, wanted: 1 });
        }
    }
    let classes = config.architecture.outputs() as u64;
    let highest = train.labels.iter().chain(test.labels).max().map_or(0, |&label| u64::from(label));
    if highest >= classes {
        return Err(WorkerError::Data { what: "classes or more", found: highest + 1, wanted: classes });
    }
    Ok(())
}

/// Setup fixes the number of workers when every one has its place, or is given up. Should setup have
/// died, the workers that are there go on by themselves. The lease is kept meanwhile.
fn wait_for_start(store: &dyn Store, run: &RunKeys, lease: &Lease) -> Result<u32, StoreError> {
    let deadline = Instant::now() + START_PATIENCE;
    let mut pause = Duration::from_micros(500);
    loop {
        let look = Exchange { lease: Some(lease), cursors: Some(&Cursors::new()), ..Exchange::default() };
        let control = store.exchange(run, &look)?.control;
        match control.workers {
            Some(workers) => return Ok(workers),
            None if control.stop.is_some() || Instant::now() > deadline => break,
            None => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    let streams = store.streams(run)?;
    tracing::warn!(workers = streams, "setup did not say how many workers there are: those that are here");
    store.fix_workers(run, streams.max(1))
}

/// The worker's `stream` is in the log; its `lease` gives the right to its number.
fn far_end(run: &Run, lease: &Lease, stream: Lease, workers: u32, folded: &Folded) -> FarEnd {
    let (log, keys) = run.log();
    FarEnd {
        store: log.clone(),
        run: keys.clone(),
        lease: stream,
        global: run.site.clone().map(|site| GlobalEnd {
            store: run.store().clone(),
            run: run.keys().clone(),
            lease: lease.clone(),
            site,
            looked: None,
            control: Control::default(),
        }),
        rows: run.config().architecture.rows(),
        vector: folded.vector.clone(),
        snapshot_version: folded.snapshot_version,
        workers,
        epochs: run.config().epochs,
        log_bytes: folded.log_bytes,
        watched: Instant::now(),
    }
}

fn read_record(
    run: &Run,
    lease: &Lease,
    identity: &Identity,
    resumed: bool,
) -> Result<(WorkerRecord, u64), state::StateError> {
    let found = state::get::<WorkerRecord>(&**run.store(), &run.keys().worker(lease.worker))?;
    let (mut record, version) = found.map_or_else(Default::default, |found| (found.value, found.version));
    record.worker = lease.worker;
    record.node.clone_from(&identity.node);
    record.pod.clone_from(&identity.pod);
    record.on_node = run.site.is_some();
    record.handovers += u32::from(resumed);
    Ok((record, version))
}
