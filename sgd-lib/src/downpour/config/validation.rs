//! Which configurations can be trained.

use super::{Database, RunConfig, StalenessLr};
use crate::downpour::schedule::Algorithm;
use crate::state::MAX_VALUE_BYTES;

/// A configuration that can't be trained.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{field} is {found}; wanted is {wanted}")]
pub struct ConfigError {
    field: &'static str,
    found: String,
    wanted: &'static str,
}

/// Workers, and samples per minibatch, that a run may have: memory is taken for each.
const MOST: u32 = 1 << 16;

impl RunConfig {
    /// Checks every field's range.
    ///
    /// # Errors
    /// The first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let within = |field, value: u32, most: u32, wanted| {
            let error = || ConfigError { field, found: value.to_string(), wanted };
            if (1..=most).contains(&value) { Ok(()) } else { Err(error()) }
        };
        let positive = |field, value| within(field, value, u32::MAX, "1 or more");
        let bounded = |field, value| within(field, value, MOST, "1 to 65536");
        if self.is_elastic() {
            self.validate_elastic()?;
        } else {
            bounded("number_of_workers", self.workers)?;
        }
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

    /// Whether workers may come and go.
    fn validate_elastic(&self) -> Result<(), ConfigError> {
        let clash = |with: String, wanted| {
            let (field, found) = ("number_of_workers", format!("auto, with {with}"));
            Err(ConfigError { field, found, wanted })
        };
        if self.algorithm.is_synchronous() {
            let wanted = "a number, since they divide each round among all, or algorithm downpour or easgd";
            return clash(format!("algorithm {}", self.algorithm), wanted);
        }
        if let Some(most) = self.max_staleness {
            let wanted = "a number, since the slowest is found by its part of the epoch, or no max_staleness";
            return clash(format!("max_staleness {most}"), wanted);
        }
        if self.database == Database::Local {
            let wanted =
                "a number, since what a worker leaves can be told only from one store, or database global";
            return clash("database local".to_owned(), wanted);
        }
        if self.train_type != 3 {
            let wanted = "a number, since workers that come and go have no part of an epoch, or train_type 3";
            return clash(format!("train_type {}", self.train_type), wanted);
        }
        Ok(())
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
    use crate::downpour::DataRef;
    use crate::network::Architecture;

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
    fn workers_come_and_go_where_nobody_waits_for_a_certain_one() {
        let auto = |change: fn(&mut RunConfig)| {
            error(|config| {
                config.workers = 0;
                change(config);
            })
        };
        assert_eq!(auto(|_| ()), None);
        assert_eq!(auto(|config| config.algorithm = Algorithm::Easgd), None);
        assert_eq!(
            auto(|config| config.algorithm = Algorithm::Average).unwrap(),
            "number_of_workers is auto, with algorithm average; wanted is a number, since they divide each round \
             among all, or algorithm downpour or easgd"
        );
        let clash = |with: &str, change: fn(&mut RunConfig)| {
            let error = auto(change).unwrap();
            assert!(error.starts_with(&format!("number_of_workers is auto, with {with}; wanted")), "{error}");
        };
        clash("algorithm diloco", |config| config.algorithm = Algorithm::Diloco);
        clash("max_staleness 3", |config| config.max_staleness = Some(3));
        clash("database local", |config| config.database = Database::Local);
        clash("train_type 2", |config| config.train_type = 2);
    }

    #[test]
    fn the_learning_rate_follows_the_workers_that_come_and_go() {
        let network = || Architecture::new(784, &[100], 47).unwrap();
        let fixed = |workers| {
            let config = RunConfig { workers, ..RunConfig::new(DataRef::named("test"), network()) };
            config.suitable_learning_rate()
        };
        let mut auto = RunConfig { workers: 0, ..RunConfig::new(DataRef::named("test"), network()) };
        auto.learning_rate = auto.suitable_learning_rate();
        for workers in [1, 2, 6] {
            assert!((auto.learning_rate_for(workers) - fixed(workers)).abs() < 1e-6, "{workers}");
        }
        let two = RunConfig { learning_rate: 0.3, ..RunConfig::new(DataRef::named("test"), network()) };
        assert_eq!(two.learning_rate_for(6), 0.3, "of a fixed number it is what it is");
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
