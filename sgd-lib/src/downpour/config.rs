//! What setup decides and every worker reads.

mod validation;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::schedule::Algorithm;
use crate::codec::Codec;
use crate::dataset::{Dataset, Transpose};
use crate::network::{Architecture, ArchitectureError};
use crate::optimizer::{LearningRateSchedule, OptimizerKind};

pub use validation::ConfigError;

/// No run has more workers at a time.
pub const MOST_WORKERS: u32 = 64;

/// How the pushes of M workers are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combine {
    /// Each push counts 1/M. M workers that start from the same parameters all step the same way;
    /// summed, they overshoot M-fold.
    Mean,
    /// Each push counts whole, as in DistBelief.
    Sum,
}

impl Combine {
    /// What a push is multiplied by where `workers` push.
    pub fn factor(self, workers: u32) -> f32 {
        match self {
            Self::Mean => 1.0 / workers.max(1) as f32,
            Self::Sum => 1.0,
        }
    }
}

impl fmt::Display for Combine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mean => "mean",
            Self::Sum => "sum",
        })
    }
}

impl FromStr for Combine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "mean" => Ok(Self::Mean),
            "sum" => Ok(Self::Sum),
            other => Err(format!("{other:?} is no way to combine pushes; wanted is mean or sum")),
        }
    }
}

/// What staleness does to the learning rate of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StalenessLr {
    /// Nothing.
    Keep,
    /// Divides it (Zhang et al. 2016: "Staleness-aware async-SGD for distributed deep learning").
    Divide,
}

impl fmt::Display for StalenessLr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Keep => "keep",
            Self::Divide => "divide",
        })
    }
}

impl FromStr for StalenessLr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "keep" => Ok(Self::Keep),
            "divide" => Ok(Self::Divide),
            other => Err(format!("{other:?} is nothing that staleness does; wanted is keep or divide")),
        }
    }
}

/// Where workers push to and fetch from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    /// One store for all.
    Global,
    /// The store of the node that they are on; a synchronizer carries sums between it and the global one.
    Local,
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Global => "global",
            Self::Local => "local",
        })
    }
}

impl FromStr for Database {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "global" => Ok(Self::Global),
            "local" => Ok(Self::Local),
            other => Err(format!("{other:?} is no database; wanted is global or local")),
        }
    }
}

/// Where the data of a run are, and which they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRef {
    /// The data set's name.
    pub name: String,
    /// The folder with its files, where setup was given one.
    pub folder: Option<String>,
    /// Whether workers take the data from the store, where setup put them.
    pub in_store: bool,
    /// Whether its images are stored transposed.
    pub transpose: Transpose,
    /// What the prepared data must be: a worker with other data refuses to train.
    pub digest: u64,
    /// How many images there are to train on: an epoch.
    pub train_images: u64,
}

impl DataRef {
    /// Data of this name, from files, that are not known yet.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            folder: None,
            in_store: false,
            transpose: Transpose::Auto,
            digest: 0,
            train_images: 0,
        }
    }
}

/// Everything that setup decided about a run. Immutable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The data.
    pub data: DataRef,
    /// Shape of the network.
    pub architecture: Architecture,
    /// Workers asked for; 0: as many as there is room for at any time, see [`RunConfig::is_elastic`].
    pub workers: u32,
    /// Samples per minibatch.
    pub batch_size: u32,
    /// Minibatches between two fetches.
    pub n_fetch: u32,
    /// Minibatches between two pushes.
    pub n_push: u32,
    /// Learning rate of the mean gradient of a minibatch, at the start; where workers come and go, of one worker.
    pub learning_rate: f32,
    /// How the learning rate changes over the epochs.
    pub schedule: LearningRateSchedule,
    /// Epoch limit.
    pub epochs: u32,
    /// Stop when this share of the whole test set is classified rightly.
    pub target_accuracy: Option<f64>,
    /// Share of a hidden layer's outputs that a training step drops.
    pub dropout: f32,
    /// What a gradient does to the parameters.
    pub optimizer: OptimizerKind,
    /// How workers train together.
    pub algorithm: Algorithm,
    /// How pushes are put together by [`Algorithm::Downpour`].
    pub combine: Combine,
    /// Pushes that a worker may be ahead of the slowest; `None`: any number.
    pub max_staleness: Option<u32>,
    /// What staleness does to a push by [`Algorithm::Downpour`].
    pub staleness_lr: StalenessLr,
    /// Where workers push to.
    pub database: Database,
    /// With a database on each node: pushes by a node's workers after which their sum is passed on.
    pub n_sync: u32,
    /// How a push is encoded.
    pub codec: Codec,
    /// Decides the initial parameters, the order of the samples and the dropout masks.
    pub seed: u64,
    /// 1: a single function; 2: setup and M train functions, an epoch an invocation; 3: setup and M train
    /// functions that run to the end.
    pub train_type: u8,
}

impl RunConfig {
    /// The defaults, for two workers.
    pub fn new(data: DataRef, architecture: Architecture) -> Self {
        let mut config = Self {
            data,
            architecture,
            workers: 2,
            batch_size: 32,
            n_fetch: 10,
            n_push: 10,
            learning_rate: f32::NAN,
            schedule: LearningRateSchedule::Linear,
            epochs: 55,
            target_accuracy: None,
            dropout: 0.2,
            optimizer: OptimizerKind::Sgd,
            algorithm: Algorithm::Downpour,
            combine: Combine::Mean,
            max_staleness: None,
            staleness_lr: StalenessLr::Keep,
            database: Database::Global,
            n_sync: 5,
            codec: Codec::Int8,
            seed: 1,
            train_type: 3,
        };
        config.learning_rate = config.suitable_learning_rate();
        config
    }

    /// The defaults, for a data set: 784-100-47 on EMNIST ByMerge.
    ///
    /// # Errors
    /// The data have images of no pixels, or no classes.
    pub fn for_data(data: &Dataset) -> Result<Self, ArchitectureError> {
        let reference = DataRef {
            digest: data.digest(),
            train_images: data.train().len() as u64,
            ..DataRef::named(data.name())
        };
        Ok(Self::new(reference, Architecture::new(data.pixels(), &[100], data.classes())?))
    }

    /// A learning rate that suits the other fields.
    ///
    /// Found by trying on EMNIST ByMerge and Fashion-MNIST with 1, 2, 3 and 6 workers. The mean of M workers'
    /// steps is as quiet as one step on a minibatch M times as large, which bears a rate √M times as high
    /// (Krizhevsky 2014: "One weird trick for parallelizing convolutional neural networks", section 3.2);
    /// their sum already goes M times as far. Staler gradients bear less (Zhang et al. 2016: "Staleness-aware
    /// async-SGD for distributed deep learning"): with a store on each node three quarters suit 3 and 6 workers.
    /// DiLoCo's outer step goes up to 0.7 / (1 − 0.9) times as far as the mean; a fifth suits rounds of 10 to 500.
    pub fn suitable_learning_rate(&self) -> f32 {
        let alone = match self.optimizer {
            OptimizerKind::Sgd => 0.5,
            OptimizerKind::Momentum | OptimizerKind::Adagrad => 0.05,
        };
        let fresh = alone * self.growth(self.workers.max(1));
        match (self.algorithm, self.database) {
            (Algorithm::Downpour, Database::Local) => 0.75 * fresh,
            (Algorithm::Diloco, _) => 0.2 * fresh,
            _ => fresh,
        }
    }

    /// What suits `workers` workers, over what suits one.
    fn growth(&self, workers: u32) -> f32 {
        1.0 / ((workers as f32).sqrt() * self.combine.factor(workers))
    }

    /// Whether workers come and go while the run goes on: all who are there share the data.
    pub fn is_elastic(&self) -> bool {
        self.workers == 0
    }

    /// The learning rate at the start, where `workers` take part.
    pub fn learning_rate_for(&self, workers: u32) -> f32 {
        if self.is_elastic() { self.learning_rate * self.growth(workers) } else { self.learning_rate }
    }

    /// Whether an invocation of the train function ends with its epoch, and another does the next.
    pub fn invocation_is_an_epoch(&self) -> bool {
        self.train_type == 2
    }
}
