//! A run from outside: create, watch, stop, report.

use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, str::FromStr};

use super::allotment::{Allotment, Change};
use super::config::{ConfigError, MOST_WORKERS, RunConfig};
use super::event::Event;
use super::log::{Folded, LogError};
use super::nodes::{NodeRecord, Nodes};
use super::record::{Model, WorkerRecord};
use super::site::Site;
use crate::codec;
use crate::network::Evaluation;
use crate::state::{self, StateError};
use crate::store::{Claim, ClaimRequest, Control, RunIdError, RunKeys, Snapshot, Store, StoreError, Vector};

/// Why a run is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The target accuracy was confirmed on the whole test set.
    Target,
    /// Every worker finished the last epoch.
    Epochs,
    /// Somebody asked for it.
    Requested,
}

impl StopReason {
    /// Its name in the control record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Epochs => "epochs",
            Self::Requested => "requested",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Target => "target accuracy reached",
            Self::Epochs => "all epochs done",
            Self::Requested => "stopped on request",
        })
    }
}

impl FromStr for StopReason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Target, Self::Epochs, Self::Requested]
            .into_iter()
            .find(|reason| reason.name() == text)
            .ok_or_else(|| format!("{text:?} is no reason to stop; wanted is target, epochs or requested"))
    }
}

/// Why a run can't be created, opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Its name can't be one.
    #[error(transparent)]
    Name(#[from] RunIdError),
    /// Its configuration can't be trained.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store, or what is in it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There is no such run.
    #[error("run {run}: there is no such run in the store")]
    Unknown {
        /// Its name.
        run: String,
    },
    /// There is no such run any more.
    #[error(
        "run {run} is no longer in the store: it was deleted, or the store was restarted without its data \
         (appendonly no)"
    )]
    Gone {
        /// Its name.
        run: String,
    },
    /// There is one already.
    #[error("run {run}: there is one of this name already")]
    Exists {
        /// Its name.
        run: String,
    },
}

impl From<StoreError> for RunError {
    fn from(error: StoreError) -> Self {
        Self::Log(error.into())
    }
}

impl From<StateError> for RunError {
    fn from(error: StateError) -> Self {
        Self::Log(error.into())
    }
}

/// A run in a store.
#[derive(Clone)]
pub struct Run {
    store: Arc<dyn Store>,
    keys: RunKeys,
    config: RunConfig,
    /// The node's part of it that workers here push to, after [`Run::settle`].
    pub(super) site: Option<Site>,
}

/// How a run stands.
#[derive(Clone, Debug)]
pub struct RunStatus {
    /// Stop reason and number of workers.
    pub control: Control,
    /// For each worker that ever began, what it did.
    pub workers: Vec<WorkerRecord>,
    /// For each worker of the run, whether somebody holds its lease.
    pub held: Vec<bool>,
    /// Where workers come and go: when they did, oldest first.
    pub changes: Vec<Change>,
    /// For each node with a store of its own, what its synchronizer did.
    pub nodes: Vec<NodeRecord>,
    /// Whether any of these is at work.
    pub synchronizing: bool,
    /// How the final parameters do on the test set, once there are some.
    pub result: Option<Evaluation>,
}

impl RunStatus {
    /// Nothing will change any more: stopped, the model is there, and everybody left.
    pub fn is_over(&self) -> bool {
        self.control.stop.is_some()
            && self.result.is_some()
            && !self.held.contains(&true)
            && !self.synchronizing
    }
}

/// A name for the run that the call `call_id` sets up: the data set's, and eight characters. A call that
/// is delivered twice gets the same name.
pub fn run_name(dataset: &str, call_id: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let hash = xxhash_rust::xxh3::xxh3_64(call_id.as_bytes());
    let suffix = (0..8).map(|place| char::from(ALPHABET[(hash >> (place * 5)) as usize & 31]));
    let stem = dataset.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40);
    stem.chain(['-']).chain(suffix).collect()
}

impl Run {
    /// Initialises the network of a new run in the store: its parameters as snapshot 1. The run
    /// begins to exist when its configuration is written under [`RunKeys::config`].
    ///
    /// # Errors
    /// The configuration is out of range, the run exists, or the store fails.
    pub fn initialise(store: &dyn Store, keys: &RunKeys, config: &RunConfig) -> Result<(), RunError> {
        config.validate()?;
        let parameters = config.architecture.initial_parameters(config.seed);
        let snapshot =
            Snapshot { version: 1, vector: Vector::new(), parameters: codec::blob::pack(&parameters) };
        if !store.write_snapshot(keys, &snapshot, Instant::now())? {
            return Err(RunError::Exists { run: keys.run().to_owned() });
        }
        store.register_run(keys)?;
        Ok(())
    }

    /// [`Run::initialise`], and the configuration with it.
    ///
    /// # Errors
    /// As there.
    pub fn create(store: Arc<dyn Store>, name: &str, config: RunConfig) -> Result<Self, RunError> {
        let keys = RunKeys::new(name)?;
        Self::initialise(&*store, &keys, &config)?;
        state::put(&*store, &keys.config(), &config, 0, Some(crate::store::RUN_TTL))?;
        Ok(Self::new(store, keys, config))
    }

    /// A run whose configuration was read already.
    pub fn new(store: Arc<dyn Store>, keys: RunKeys, config: RunConfig) -> Self {
        Self { store, keys, config, site: None }
    }

    /// A run that exists.
    ///
    /// # Errors
    /// There is none of this name, its configuration is out of range, or the store fails.
    pub fn open(store: Arc<dyn Store>, name: &str) -> Result<Self, RunError> {
        let keys = RunKeys::new(name)?;
        let found = state::get::<RunConfig>(&*store, &keys.config())?;
        let config = found.ok_or_else(|| RunError::Unknown { run: name.to_owned() })?.value;
        config.validate()?;
        Ok(Self::new(store, keys, config))
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        self.keys.run()
    }

    /// Its keys.
    pub fn keys(&self) -> &RunKeys {
        &self.keys
    }

    /// What setup decided.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// The store it is in.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Asks for a worker's place.
    ///
    /// # Errors
    /// The store fails.
    pub fn claim(&self, place: &str, worker: Option<u32>, ttl: Duration) -> Result<Claim, RunError> {
        self.claim_from(place, worker, None, ttl)
    }

    /// The same; the lease of the token `from` counts as free: its holder calls its successor.
    ///
    /// # Errors
    /// The store fails.
    pub fn claim_from(
        &self,
        place: &str,
        worker: Option<u32>,
        from: Option<u64>,
        ttl: Duration,
    ) -> Result<Claim, RunError> {
        let request = ClaimRequest {
            place: place.to_owned(),
            worker,
            workers: if self.config.is_elastic() { MOST_WORKERS } else { self.config.workers },
            holder: format!("{:016x}", rand::random::<u64>()),
            ttl,
            from,
            seize: false,
        };
        Ok(self.store.claim(&self.keys, &request)?)
    }

    /// How it stands.
    ///
    /// # Errors
    /// The store fails, has lost the run, or holds something that does not decode.
    pub fn status(&self) -> Result<RunStatus, RunError> {
        if self.store.read(&self.keys.config())?.is_none() {
            return Err(RunError::Gone { run: self.name().to_owned() });
        }
        let control = self.store.control(&self.keys)?;
        let allotment = if self.config.is_elastic() {
            Allotment::read(&*self.store, &self.keys)?
        } else {
            Allotment::default()
        };
        let count = control.workers.unwrap_or(self.config.workers.max(allotment.numbers()));
        let mut workers = Vec::new();
        for worker in 0..count {
            let record = state::get::<WorkerRecord>(&*self.store, &self.keys.worker(worker))?;
            workers.extend(record.map(|record| record.value));
        }
        let held = self.store.held(&self.keys, 0..count)?;
        let result = self.model()?.map(|model| model.evaluation);
        let numbers = Nodes::read(&*self.store, &self.keys)?.value.numbers();
        let synchronizing = self.store.held(&self.keys, numbers.clone())?.contains(&true);
        let mut nodes = Vec::new();
        for number in numbers {
            let record = state::get::<NodeRecord>(&*self.store, &self.keys.node(number))?;
            nodes.extend(record.map(|record| record.value));
        }
        let changes = allotment.into_changes();
        Ok(RunStatus { control, workers, held, changes, nodes, synchronizing, result })
    }

    /// Its final parameters, once there are some.
    ///
    /// # Errors
    /// The store fails, or what stands there is no model.
    pub fn model(&self) -> Result<Option<Model>, RunError> {
        Ok(Model::read(&*self.store, &self.keys, self.config.architecture.parameter_count())?)
    }

    /// Its parameters as they are: the final ones, or all that was pushed so far.
    ///
    /// # Errors
    /// The store fails, or what stands there does not decode.
    pub fn parameters(&self) -> Result<Vec<f32>, RunError> {
        if let Some(model) = self.model()? {
            return Ok(model.parameters);
        }
        Ok(Folded::load(&*self.store, &self.keys, &self.config.architecture.rows())?.parameters)
    }

    /// Events after the one with the id `after` (`0` for all), waiting up to `wait` for the first.
    ///
    /// # Errors
    /// The store fails, or an event is none.
    pub fn events(&self, after: &str, wait: Duration) -> Result<Vec<(String, Event)>, RunError> {
        let events = self.store.events(&self.keys, after, wait)?;
        let decode = |(id, bytes): (String, Vec<u8>)| Ok((id, state::decode("event", &bytes)?));
        events.into_iter().map(decode).collect()
    }

    /// Asks its workers to stop. Returns the reason that stands.
    ///
    /// # Errors
    /// The store fails.
    pub fn stop(&self) -> Result<StopReason, RunError> {
        let reason = self.store.stop(&self.keys, StopReason::Requested.name())?;
        Ok(reason.parse().unwrap_or(StopReason::Requested))
    }

    /// Deletes what only training needs, where the run is over: the log is the larger part of a run.
    ///
    /// # Errors
    /// The store fails.
    pub fn tidy(&self) -> Result<(), RunError> {
        if let Some(site) = &self.site {
            site.tidy(self)?;
        }
        if self.status()?.is_over() {
            self.store.delete_log(&self.keys)?;
        }
        Ok(())
    }

    /// Deletes everything of it.
    ///
    /// # Errors
    /// The store fails.
    pub fn delete(self) -> Result<u64, RunError> {
        Ok(self.store.delete_run(&self.keys)?)
    }
}
