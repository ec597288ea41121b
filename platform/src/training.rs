//! From settings and data to what sgd-lib trains.

use sgd_lib::codec;
use sgd_lib::dataset::Manifest;
use sgd_lib::downpour::{Algorithm, DataRef, Database, RunConfig};
use sgd_lib::network::{Architecture, ArchitectureError};

use crate::settings::{Codec, DatasetSource, Settings, SettingsError, StoreUrl, TrainType};

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
    // sgd-lib has no number for as many as there is room for.
    let workers = if single { 1 } else { settings.workers.fixed().map_or(0, narrow) };
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
        codec: codec::Codec::Int8,
        seed: settings.seed,
        train_type: settings.train_type.number(),
    };
    config.codec = match settings.codec {
        Codec::Auto => suitable_codec(&config, &settings.store_url),
        Codec::Fixed(codec) => codec,
    };
    config.learning_rate = settings.learning_rate.unwrap_or_else(|| config.suitable_learning_rate());
    Ok(config)
}

/// What codec `auto` is, by the size of a push and the way to the store, and by nothing that is measured: so the
/// same run has the same codec wherever the machine's speed stands.
///
/// - A few parameters take less time than the store's answer, however they are written: exact.
/// - Bytes cost little on the same machine, and a worker that is killed there loses rounding alone: int8.
/// - Over a network, and from where a push is a megabyte, they do: top-k, for which 2 % of the values go out.
///   Not where others than the workers add up what is pushed, or wait for all of it.
fn suitable_codec(config: &RunConfig, store: &StoreUrl) -> codec::Codec {
    let parameters = config.architecture.parameter_count();
    let apart = config.algorithm == Algorithm::Downpour && config.database == Database::Global;
    let costly = parameters >= MANY || !store.is_on_this_machine();
    match parameters {
        0..FEW => codec::Codec::F32,
        _ if apart && costly => codec::Codec::TopK,
        _ => codec::Codec::Int8,
    }
}

/// 16 KiB as f32.
const FEW: usize = 4096;
/// 1 MiB as int8.
const MANY: usize = 1 << 20;

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
        let here = Settings::default().overridden_by_json(br#"{"store_url": "unix:///run/redis.sock"}"#);
        let ours = run_config(&here.unwrap(), &data.manifest()).unwrap();
        assert_eq!(ours, RunConfig::for_data(&data).unwrap());
        assert_eq!(ours.validate(), Ok(()));
    }

    #[test]
    fn the_codec_suits_size_and_link() {
        let data = data();
        let codec = |json: String| {
            let settings = Settings::default().overridden_by_json(json.as_bytes()).unwrap();
            run_config(&settings, &data.manifest()).unwrap().codec
        };
        let on = |url: &str, more: &str| codec(format!(r#"{{"store_url": "{url}"{more}}}"#));
        for here in
            ["unix:///a", "redis+unix:///a", "redis://127.0.0.1:7", "redis://localhost", "redis://[::1]"]
        {
            assert_eq!(on(here, ""), codec::Codec::Int8, "{here}");
            assert_eq!(on(here, r#", "hidden_size": "2000""#), codec::Codec::TopK, "{here}");
            assert_eq!(on(here, r#", "hidden_size": "5""#), codec::Codec::F32, "{here}");
        }
        for there in
            ["redis://redis.openfaas-fn:6379", "redis://10.0.0.7", "redis://user:secret@127.example:1"]
        {
            assert_eq!(on(there, ""), codec::Codec::TopK, "{there}");
            assert_eq!(on(there, r#", "hidden_size": "5""#), codec::Codec::F32, "{there}");
            assert_eq!(on(there, r#", "codec": "f16""#), codec::Codec::F16, "{there}");
            assert_eq!(on(there, r#", "algorithm": "average""#), codec::Codec::Int8, "{there}");
            assert_eq!(on(there, r#", "database": "local""#), codec::Codec::Int8, "{there}");
        }
    }

    #[test]
    fn a_single_function_is_one_worker() {
        let data = data();
        let settings = Settings::default().overridden_by_json(br#"{"train_type": 1}"#);
        let config = run_config(&settings.unwrap(), &data.manifest()).unwrap();
        assert_eq!((config.workers, config.train_type), (1, 1));
        assert!((config.learning_rate - 0.5).abs() < 1e-6);
    }

    #[test]
    fn workers_that_follow_replicas_train_at_the_rate_that_suits_them() {
        let settings = Settings::default().overridden_by_json(br#"{"number_of_workers": "auto"}"#);
        let config = run_config(&settings.unwrap(), &data().manifest()).unwrap();
        assert!(config.is_elastic() && config.validate().is_ok());
        assert!((config.learning_rate_for(4) - 1.0).abs() < 1e-6);
    }
}
