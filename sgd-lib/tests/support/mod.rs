//! What the integration tests share: both stores, a real redis-server behind one of them, real data.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(clippy::expect_used, reason = "tests may stop at the first surprise")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use local_redis::{LocalRedis, Options};
use sgd_lib::codec::Codec;
use sgd_lib::dataset::{self, Dataset, Transpose};
use sgd_lib::downpour::{Algorithm, Combine, DataRef, Database, RunConfig};
use sgd_lib::network::Architecture;
use sgd_lib::optimizer::{LearningRateSchedule, OptimizerKind};
use sgd_lib::store::{MemoryStore, RedisStore, Store};

/// A store and, where it has one, the server behind it.
pub(crate) struct TestStore {
    pub(crate) name: &'static str,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) redis: Option<LocalRedis>,
}

/// A store in a private redis-server.
pub(crate) fn redis() -> TestStore {
    let redis = LocalRedis::start(Options::default()).expect("a redis-server starts");
    let store = RedisStore::open(redis.url()).expect("its address is one");
    TestStore { name: "redis", store: Arc::new(store), redis: Some(redis) }
}

/// Both stores, empty.
pub(crate) fn stores() -> [TestStore; 2] {
    [TestStore { name: "memory", store: Arc::new(MemoryStore::new()), redis: None }, redis()]
}

/// A configuration for tests that do not train.
pub(crate) fn config(workers: u32) -> RunConfig {
    RunConfig {
        data: DataRef {
            name: "test".into(),
            folder: None,
            in_store: false,
            transpose: Transpose::Auto,
            digest: 0,
            train_images: 0,
        },
        architecture: Architecture::new(4, &[3], 2).expect("a small network"),
        workers,
        batch_size: 32,
        n_fetch: 10,
        n_push: 10,
        learning_rate: 0.5,
        schedule: LearningRateSchedule::Constant,
        epochs: 1,
        target_accuracy: None,
        dropout: 0.2,
        optimizer: OptimizerKind::Sgd,
        algorithm: Algorithm::Downpour,
        combine: Combine::Mean,
        database: Database::Global,
        n_sync: 10,
        codec: Codec::F32,
        seed: 1,
        train_type: 3,
    }
}

/// Real data: EMNIST where it lies beside the project, else Debian's Fashion-MNIST.
pub(crate) fn data() -> Dataset {
    let emnist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/emnist-bymerge-110k");
    let fashion = PathBuf::from("/usr/share/datasets/fashion-mnist");
    let folder = [emnist, fashion].into_iter().find(|folder| folder.is_dir());
    let folder = folder.expect("no data to test with: apt-get install dataset-fashion-mnist");
    let source = dataset::find(&folder, None).expect("the folder holds a data set");
    let cache = std::env::temp_dir().join("downpour-test-cache");
    Dataset::prepare(&source, &cache, Transpose::Auto).expect("the data can be read")
}

/// A configuration that trains on `data`.
pub(crate) fn config_for(data: &Dataset, workers: u32) -> RunConfig {
    RunConfig {
        architecture: Architecture::new(data.pixels(), &[100], data.classes()).expect("a network"),
        ..config(workers)
    }
}
