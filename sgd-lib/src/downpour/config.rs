//! What setup decides and every worker reads.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::schedule::Algorithm;
use crate::codec::Codec;
use crate::dataset::{Dataset, Transpose};
use crate::network::{Architecture, ArchitectureError};
use crate::optimizer::{LearningRateSchedule, OptimizerKind};
use crate::state::MAX_VALUE_BYTES;

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

/// Workers, and samples per minibatch, that a run may have: memory is taken for each.
const MOST: u32 = 1 << 16;

/// Everything that setup decided about a run. Immutable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The data.
    pub data: DataRef,
    /// Shape of the network.
    pub architecture: Architecture,
    /// Workers asked for.
    pub workers: u32,
    /// Samples per minibatch.
    pub batch_size: u32,
    /// Minibatches between two fetches.
    pub n_fetch: u32,
    /// Minibatches between two pushes.
    pub n_push: u32,
    /// Learning rate of the mean gradient of a minibatch, at the start.
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

/// A configuration that can't be trained.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{field} is {found}; wanted is {wanted}")]
pub struct ConfigError {
    field: &'static str,
    found: String,
    wanted: &'static str,
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
        let fresh = alone / ((self.workers.max(1) as f32).sqrt() * self.combine.factor(self.workers));
        match (self.algorithm, self.database) {
            (Algorithm::Downpour, Database::Local) => 0.75 * fresh,
            (Algorithm::Diloco, _) => 0.2 * fresh,
            _ => fresh,
        }
    }

    /// Whether an invocation of the train function ends with its epoch, and another does the next.
    pub fn invocation_is_an_epoch(&self) -> bool {
        self.train_type == 2
    }

    /// Checks every field's range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let positive = |field, value: u32| {
            let error = || ConfigError { field, found: value.to_string(), wanted: "1 or more" };
            if value >= 1 { Ok(()) } else { Err(error()) }
        };
        let bounded = |field, value: u32| {
            let error = || ConfigError { field, found: value.to_string(), wanted: "1 to 65536" };
            if (1..=MOST).contains(&value) { Ok(()) } else { Err(error()) }
        };
        bounded("number_of_workers", self.workers)?;
        bounded("batch_size", self.batch_size)?;
        positive("n_fetch", self.n_fetch)?;
        positive("n_push", self.n_push)?;
        positive("n_sync", self.n_sync)?;
        positive("iterations", self.epochs)?;
        let range = |field, value: f32, fits: bool, wanted| {
            let error = || ConfigError { field, found: value.to_string(), wanted };
            if fits { Ok(()) } else { Err(error()) }
        };
        let rate = self.learning_rate;
        range("alpha", rate, rate > 0.0 && rate.is_finite(), "a finite number above 0")?;
        let dropout = self.dropout;
        range("dropout_percent", dropout, (0.0..1.0).contains(&dropout), "a fraction from 0 to below 1")?;
        if let Some(target) = self.target_accuracy {
            let fits = target > 0.0 && target <= 1.0;
            range("target_accuracy", target as f32, fits, "above 0 and at most 1")?;
        }
        self.validate_staleness()?;
        self.validate_carried()
    }

    /// Whether what is said of staleness fits the algorithm and the database.
    fn validate_staleness(&self) -> Result<(), ConfigError> {
        let error = |field, found: String, wanted| Err(ConfigError { field, found, wanted });
        if self.staleness_lr == StalenessLr::Divide && self.algorithm != Algorithm::Downpour {
            let found = format!("divide, with algorithm {}", self.algorithm);
            return error("staleness_lr", found, "keep, or algorithm downpour");
        }
        let Some(most) = self.max_staleness else { return Ok(()) };
        if self.algorithm.is_synchronous() {
            let found = format!("{most}, with algorithm {}, in which nothing is stale", self.algorithm);
            return error("max_staleness", found, "none, or algorithm downpour or easgd");
        }
        if self.database == Database::Local && most < self.n_sync {
            let found = format!("{most}, with database local and an n_sync of {}", self.n_sync);
            return error("max_staleness", found, "n_sync or more, or database global");
        }
        Ok(())
    }

    /// Whether what an invocation leaves to the next beside the log fits into a typed value.
    fn validate_carried(&self) -> Result<(), ConfigError> {
        let values = self.optimizer.accumulators_per_parameter() + self.algorithm.memory_per_parameter();
        let carried = 4 * self.architecture.parameter_count() * values;
        if self.invocation_is_an_epoch() && carried + 64 > MAX_VALUE_BYTES {
            return Err(ConfigError {
                field: "train_type",
                found: format!("2, with {carried} bytes of what optimizer and algorithm remember"),
                wanted: "3, or optimizer sgd, or algorithm downpour or average, so that it is less than 16 MiB",
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(change: impl FnOnce(&mut RunConfig)) -> Option<String> {
        let network = Architecture::new(784, &[100], 47).unwrap();
        let mut config = RunConfig::new(DataRef::named("test"), network);
        change(&mut config);
        config.validate().err().map(|error| error.to_string())
    }

    #[test]
    fn what_is_said_of_staleness_has_to_fit() {
        for algorithm in [Algorithm::Downpour, Algorithm::Easgd] {
            let bounded =
                |config: &mut RunConfig| (config.algorithm, config.max_staleness) = (algorithm, Some(0));
            assert_eq!(error(bounded), None);
        }
        assert_eq!(
            error(|config| (config.algorithm, config.max_staleness) = (Algorithm::Diloco, Some(3))).unwrap(),
            "max_staleness is 3, with algorithm diloco, in which nothing is stale; wanted is none, or algorithm downpour or easgd"
        );
        assert_eq!(
            error(|config| (config.database, config.max_staleness) = (Database::Local, Some(4))).unwrap(),
            "max_staleness is 4, with database local and an n_sync of 5; wanted is n_sync or more, or database global"
        );
        assert_eq!(error(|config| config.staleness_lr = StalenessLr::Divide), None);
        let easgd = |config: &mut RunConfig| {
            (config.algorithm, config.staleness_lr) = (Algorithm::Easgd, StalenessLr::Divide);
        };
        assert_eq!(
            error(easgd).unwrap(),
            "staleness_lr is divide, with algorithm easgd; wanted is keep, or algorithm downpour"
        );
    }

    #[test]
    fn what_an_invocation_leaves_has_to_fit() {
        // 4.2 million parameters: 16.1 MiB a value.
        let wide = |algorithm, train_type| {
            error(|config| {
                config.architecture = Architecture::new(784, &[5_070], 47).unwrap();
                (config.algorithm, config.train_type) = (algorithm, train_type);
            })
        };
        for algorithm in [Algorithm::Easgd, Algorithm::Diloco] {
            assert_eq!(wide(algorithm, 3), None);
            let error = wide(algorithm, 2).unwrap();
            assert!(error.starts_with("train_type is 2, with 168"), "{error}");
        }
        assert_eq!(wide(Algorithm::Downpour, 2), None);
    }
}
