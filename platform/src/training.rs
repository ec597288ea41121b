//! From settings and data to what sgd-lib trains.

use sgd_lib::codec;
use sgd_lib::dataset::Manifest;
use sgd_lib::downpour::{DataRef, RunConfig};
use sgd_lib::network::{Architecture, ArchitectureError};

use crate::settings::{Codec, DatasetSource, Settings, SettingsError, TrainType};

/// Why settings make no run.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// They don't go together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The network would be too large.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
}

/// The configuration of a run on `data`.
///
/// # Errors
/// Settings that don't go together, or too large a network.
pub fn run_config(settings: &Settings, data: &Manifest) -> Result<RunConfig, TrainingError> {
    settings.check()?;
    let single = settings.train_type == TrainType::SingleFunction;
    let workers = if single { 1 } else { narrow(settings.workers) };
    let mut config = RunConfig {
        data: DataRef {
            name: data.name.clone(),
            folder: match settings.dataset_source {
                DatasetSource::Files => {
                    settings.data_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned())
                }
                DatasetSource::Store => None,
            },
            in_store: settings.dataset_source == DatasetSource::Store,
            transpose: settings.transpose,
            digest: data.digest,
            train_images: data.shape.train,
        },
        architecture: Architecture::new(data.shape.pixels(), &settings.hidden, data.shape.classes as usize)?,
        workers,
        batch_size: narrow(settings.batch_size),
        n_fetch: narrow(settings.n_fetch),
        n_push: narrow(settings.n_push),
        learning_rate: f32::NAN,
        schedule: settings.schedule,
        epochs: narrow(settings.epochs),
        target_accuracy: settings.target_accuracy,
        dropout: settings.dropout,
        optimizer: settings.optimizer,
        algorithm: settings.algorithm,
        combine: settings.combine,
        max_staleness: settings.max_staleness.map(narrow),
        staleness_lr: settings.staleness_lr,
        database: settings.database,
        n_sync: narrow(settings.n_sync),
        codec: match settings.codec {
            Codec::Auto => codec::Codec::Int8,
            Codec::Fixed(codec) => codec,
        },
        seed: settings.seed,
        train_type: settings.train_type.number(),
    };
    config.learning_rate = settings.learning_rate.unwrap_or_else(|| config.suitable_learning_rate());
    Ok(config)
}

/// The settings' ranges are far below the limit.
fn narrow(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sgd_lib::dataset::{Dataset, Transpose, find};

    use super::*;

    fn data() -> Dataset {
        let folder = Path::new("/usr/share/datasets/fashion-mnist");
        let source = find(folder, None).expect("apt-get install dataset-fashion-mnist");
        let cache = std::env::temp_dir().join("downpour-test-cache");
        Dataset::prepare(&source, &cache, Transpose::Auto).unwrap()
    }

    /// The library's defaults and the table's are the same.
    #[test]
    fn settings_left_alone_are_the_librarys_defaults() {
        let data = data();
        let ours = run_config(&Settings::default(), &data.manifest()).unwrap();
        assert_eq!(ours, RunConfig::for_data(&data).unwrap());
        assert_eq!(ours.validate(), Ok(()));
    }

    #[test]
    fn a_single_function_is_one_worker() {
        let data = data();
        let settings = Settings::default().overridden_by_json(br#"{"train_type": 1}"#);
        let config = run_config(&settings.unwrap(), &data.manifest()).unwrap();
        assert_eq!((config.workers, config.train_type), (1, 1));
        assert!((config.learning_rate - 0.5).abs() < 1e-6);
    }
}
