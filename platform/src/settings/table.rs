//! The one table of settings: the fields of [`Settings`], the environment variables (which are
//! also the keys of a request body), the flags of `downpour train`, defaults, ranges and help.

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::PathBuf;

use sgd_lib::dataset::Transpose;
use sgd_lib::downpour::{Algorithm, Combine, Database, StalenessLr};
use sgd_lib::optimizer::{LearningRateSchedule, OptimizerKind};

use super::choices::{Codec, Dataset, DatasetSource, FanOut, TrainType, words};
use super::kind::Kind;
use super::value::{StoreUrl, Value};
use super::workers::Workers;
use crate::invoker::UrlTemplate;

/// One setting: its names, its default, what it may be.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable, and the key in a request body.
    pub variable: &'static str,
    /// The flag of `downpour train`, without its dashes.
    pub flag: Option<&'static str>,
    /// The default's text; `none` where the setting is optional and unset.
    pub default: &'static str,
    /// What it may be.
    pub kind: Kind,
    /// Whether `none` is a value.
    pub optional: bool,
    /// What it is for, with its unit.
    pub help: &'static str,
    /// Sets the field to what a text means; `None` where that is out of range.
    pub(super) set: fn(&mut Settings, &str, &Kind) -> Option<()>,
    /// The field's text.
    pub(super) get: fn(&Settings) -> String,
}

macro_rules! settings {
    ($($field:ident: $type:ty, $variable:literal, $flag:expr, $default:literal, $kind:expr, $help:literal;)+) => {
        /// What a training run is told: see [`table`](super::table()) for names and ranges.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Settings {
            $(#[doc = concat!($help, " (`", $variable, "`)")] pub $field: $type,)+
            /// One bit per row of the table: which settings were given, not left at their default.
            pub(super) given: u64,
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($field: default($default, &$kind),)+ given: 0 }
            }
        }

        /// Every setting, in the order of the reference.
        pub(super) static TABLE: &[Setting] = &[$(
            Setting {
                variable: $variable,
                flag: $flag,
                default: $default,
                kind: $kind,
                optional: <$type as Value>::OPTIONAL,
                help: $help,
                set: |settings, text, kind| {
                    settings.$field = Value::read(text, kind)?;
                    Some(())
                },
                get: |settings| settings.$field.write(),
            },
        )+];
    };
}

#[expect(clippy::expect_used, reason = "the defaults are in this file, and a test makes them all")]
fn default<T: Value>(text: &str, kind: &Kind) -> T {
    T::read(text, kind).expect("a default is in its range")
}

const UP_TO_A_MILLION: Kind = Kind::Integer { least: 1, most: 1_000_000 };

settings! {
    dataset: Dataset, "dataset", Some("dataset"), "auto", Kind::Choice(Dataset::NAMES),
        "the data set; auto is emnist-bymerge where its files are, else fashion-mnist";
    data_dir: Option<PathBuf>, "data_dir", Some("data-dir"), "none", Kind::Folder,
        "folder with the data set's files, IDX or .mat";
    data_root: Option<PathBuf>, "data_root", None, "none", Kind::Folder,
        "folder with a folder for each data set, searched where data_dir is not given";
    dataset_source: DatasetSource, "dataset_source", Some("dataset-source"), "files",
        Kind::Choice(DatasetSource::NAMES),
        "whether functions read the data from files or from the store, where setup puts it";
    cache_dir: Option<PathBuf>, "cache_dir", Some("cache-dir"), "none", Kind::Folder,
        "folder for the prepared data; none is `downpour` in the temporary folder";
    workers: Workers, "number_of_workers", Some("workers"), "2", Kind::IntegerOrAuto { least: 1, most: 64 },
        "M, the number of workers that share the data; auto: one for each ready replica of emnist-train, also while the run goes on";
    batch_size: usize, "batch_size", Some("batch-size"), "32", Kind::Integer { least: 1, most: 65_536 },
        "images in a minibatch";
    n_fetch: usize, "n_fetch", Some("n-fetch"), "10", UP_TO_A_MILLION,
        "minibatches between two fetches of the others' parameters; other algorithms than downpour also fetch with each push";
    n_push: usize, "n_push", Some("n-push"), "10", UP_TO_A_MILLION,
        "minibatches between two pushes of a worker's own";
    learning_rate: Option<f32>, "alpha", Some("learning-rate"), "none",
        Kind::Number(Excluded(0.0), Unbounded),
        "learning rate, of the mean gradient of a minibatch (with number_of_workers auto that of one worker, which grows with √M); none is what suits optimizer and workers: 0.5 × √M for sgd, 0.05 × √M for the others, three quarters of that with database local, a fifth with diloco";
    schedule: LearningRateSchedule, "lr_schedule", Some("lr-schedule"), "linear",
        Kind::Choice(words::SCHEDULE),
        "how the learning rate changes over the epochs";
    epochs: usize, "iterations", Some("epochs"), "55", Kind::Integer { least: 1, most: 100_000 },
        "epochs after which a run ends at the latest";
    target_accuracy: Option<f64>, "target_accuracy", Some("target-accuracy"), "none",
        Kind::Number(Excluded(0.0), Included(1.0)),
        "test accuracy, a fraction, at which a run ends, confirmed on the whole test set";
    hidden: Vec<usize>, "hidden_size", Some("hidden-size"), "100", Kind::Widths,
        "widths of the hidden layers, first to last";
    dropout: f32, "dropout_percent", Some("dropout"), "0.2", Kind::Number(Included(0.0), Excluded(1.0)),
        "part of the hidden units that a minibatch leaves out, a fraction";
    optimizer: OptimizerKind, "optimizer", Some("optimizer"), "sgd", Kind::Choice(words::OPTIMIZER),
        "what a gradient does to the parameters";
    algorithm: Algorithm, "algorithm", Some("algorithm"), "downpour", Kind::Choice(words::ALGORITHM),
        "how workers train together: downpour, nobody waits for anybody; easgd, neither, and every n_push minibatches parameters of one's own and those of all are drawn together; average, all average their parameters every n_push minibatches; diloco, that with Nesterov momentum, for an n_push of hundreds";
    combine: Combine, "combine", Some("combine"), "mean", Kind::Choice(words::COMBINE),
        "with downpour, whether pushes count for their mean over the workers or for their sum";
    max_staleness: Option<usize>, "max_staleness", Some("max-staleness"), "none",
        Kind::Integer { least: 0, most: 1_000_000 },
        "with downpour and easgd, pushes that a worker may be ahead of the slowest before it waits; a push then has not seen more than twice as many and one of each other worker";
    staleness_lr: StalenessLr, "staleness_lr", Some("staleness-lr"), "keep", Kind::Choice(words::STALENESS_LR),
        "with downpour, whether a push's learning rate is divided by the number of updates that it has not seen";
    train_type: TrainType, "train_type", Some("train-type"), "3", Kind::Choice(TrainType::NAMES),
        "1: one function does everything; 2: setup, then train functions of which each invocation does one epoch and schedules the next; 3: setup, then train functions that run to the end";
    database: Database, "database", Some("database"), "global", Kind::Choice(words::DATABASE),
        "which Redis workers push to: one for all, or that of their node, between which and the global one sums are carried";
    n_sync: usize, "n_sync", Some("n-sync"), "5", UP_TO_A_MILLION,
        "with database=local, pushes by the workers of a node after which their sum goes to the others; an epoch's end and half a second end the wait, too";
    fan_out: FanOut, "fan_out", Some("fan-out"), "direct", Kind::Choice(FanOut::NAMES),
        "how setup starts the train functions: calls them, or puts the calls into the gateway's asynchronous queue";
    codec: Codec, "codec", Some("codec"), "auto", Kind::Choice(Codec::NAMES),
        "how a push is encoded; topk: the largest 2 % of the values, the others later; auto: by its size and whether the Redis is on the same machine";
    transpose: Transpose, "transpose", Some("transposed"), "auto", Kind::Choice(words::TRANSPOSE),
        "whether IDX files hold transposed images; auto: those named emnist-* do";
    seed: u64, "seed", Some("seed"), "1", Kind::Integer { least: 0, most: u64::MAX },
        "seed of everything that is drawn at random";
    pixels: Option<usize>, "pixels_per_image", None, "none", Kind::Integer { least: 1, most: 65_536 },
        "pixels of an image, to be checked against the data";
    classes: Option<usize>, "num_labels", None, "none", Kind::Integer { least: 1, most: 256 },
        "number of classes, to be checked against the data";
    store_url: StoreUrl, "store_url", Some("store-url"), "redis://redis.openfaas-fn:6379", Kind::StoreUrl,
        "address of the Redis that holds all state";
    store_password_secret: Option<String>, "store_password_secret", None, "none", Kind::SecretName,
        "name of the secret with the Redis' password";
    store_ca_secret: Option<String>, "store_ca_secret", None, "none", Kind::SecretName,
        "name of the secret with the certificates (PEM) of the authorities that vouch for a Redis under TLS (rediss://); none: those that the system trusts";
    local_store_url: StoreUrl, "local_store_url", None, "redis://redis-local.openfaas-fn:6379", Kind::StoreUrl,
        "address of the Redis on a function's own node, for database=local; where none answers, the global one serves";
    gateway: String, "gateway_hostname", Some("gateway"), "http://gateway.openfaas:8080", Kind::GatewayUrl,
        "address of the gateway; a bare host means port 8080";
    gateway_password_secret: Option<String>, "gateway_password_secret", None, "none", Kind::SecretName,
        "name of the secret with the gateway's password (user admin), with which functions count replicas where number_of_workers is auto";
    function_url: UrlTemplate, "function_url", Some("function-url"), "{gateway}/function/{function}",
        Kind::FunctionUrl,
        "address of functions; Knative: http://{function}.openfaas-fn.svc.cluster.local, plain Kubernetes: http://{function}.openfaas-fn:8080";
}
