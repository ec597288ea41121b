//! What stays of a run after it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::LogError;
use crate::codec;
use crate::network::Evaluation;
use crate::state;
use crate::store::{Progress, RUN_TTL, RunKeys, Store};

/// What one worker did, predecessors on the same shard included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerRecord {
    /// Its number.
    pub worker: u32,
    /// The machine it ran on last.
    pub node: String,
    /// The replica it ran in last.
    pub pod: String,
    /// First minibatch, milliseconds since 1970 by the store's clock.
    pub started_ms: u64,
    /// Last acknowledged push, likewise.
    pub ended_ms: u64,
    /// Whole epochs done.
    pub epochs: u32,
    /// Minibatches computed.
    pub minibatches: u64,
    /// Samples computed.
    pub samples: u64,
    /// Pushes accepted.
    pub pushes: u64,
    /// Fetches.
    pub fetches: u64,
    /// Sum over pushes of the pushes by others that each had not seen.
    pub staleness_sum: f64,
    /// The largest of them.
    pub staleness_max: u64,
    /// Invocations that worked on the shard.
    pub invocations: u32,
    /// How often the shard changed hands for another reason than that each invocation does one epoch.
    pub handovers: u32,
    /// Bytes of encoded deltas pushed.
    pub bytes_pushed: u64,
    /// Bytes of encoded deltas fetched.
    pub bytes_fetched: u64,
    /// Those of the bytes pushed that went to the global store.
    pub bytes_to_global: u64,
    /// Those of the bytes fetched that came from there.
    pub bytes_from_global: u64,
    /// Whether its last place had a store on its node.
    pub on_node: bool,
}

impl WorkerRecord {
    /// So far its stream goes.
    pub(super) fn reach(&mut self, stands: Progress) {
        self.minibatches = stands.minibatches;
        self.samples = stands.samples;
        self.pushes = stands.pushes;
    }

    /// Seconds from the first minibatch to the last acknowledged push.
    pub fn time(&self) -> Duration {
        Duration::from_millis(self.ended_ms.saturating_sub(self.started_ms))
    }

    /// Mean number of pushes by others that a push had not seen.
    pub fn staleness_mean(&self) -> f64 {
        if self.pushes == 0 { 0.0 } else { self.staleness_sum / self.pushes as f64 }
    }
}

/// A run's result: the parameters and how well they do.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// How they do on the whole test set.
    pub evaluation: Evaluation,
    /// The parameters, in the architecture's flat layout.
    pub parameters: Vec<f32>,
}

/// What stands before the parameters in the model's blob.
#[derive(Serialize, Deserialize)]
struct ModelHeader {
    samples: u64,
    correct: u64,
    loss_sum: f64,
}

const MAGIC: &[u8; 4] = b"DPM1";

impl Model {
    /// Writes the model unless the run has one. Returns whether it was written.
    ///
    /// # Errors
    /// The store fails.
    pub fn create(&self, store: &dyn Store, run: &RunKeys) -> Result<bool, LogError> {
        let key = run.model();
        let header = ModelHeader {
            samples: self.evaluation.samples as u64,
            correct: self.evaluation.correct as u64,
            loss_sum: self.evaluation.loss_sum,
        };
        let header = state::encode(&key, &header)?;
        let mut blob = MAGIC.to_vec();
        blob.push(u8::try_from(header.len()).unwrap_or(u8::MAX));
        blob.extend(header);
        blob.extend(codec::blob::pack(&self.parameters));
        Ok(store.create_blob(&key, &blob, RUN_TTL)?)
    }

    /// Reads the run's model, if it has one.
    ///
    /// # Errors
    /// The store fails, or what stands there is no model of `parameter_count` parameters.
    pub fn read(store: &dyn Store, run: &RunKeys, parameter_count: usize) -> Result<Option<Self>, LogError> {
        let key = run.model();
        let Some(blob) = store.read_blob(&key)? else { return Ok(None) };
        let torn = || LogError::NoModel { key: key.clone(), bytes: blob.len() };
        let rest = blob.strip_prefix(MAGIC).ok_or_else(torn)?;
        let (&length, rest) = rest.split_first().ok_or_else(torn)?;
        let (header, parameters) = rest.split_at_checked(length.into()).ok_or_else(torn)?;
        let header: ModelHeader = state::decode(&key, header)?;
        let evaluation = Evaluation {
            samples: usize::try_from(header.samples).map_err(|_| torn())?,
            correct: usize::try_from(header.correct).map_err(|_| torn())?,
            loss_sum: header.loss_sum,
        };
        Ok(Some(Self { evaluation, parameters: codec::blob::unpack(parameters, parameter_count)? }))
    }
}
