//! What the integration tests share: both stores, a real redis-server behind one of them, real data.
#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may stop at the first surprise"
)]

pub(crate) mod authority;
pub(crate) mod crew;
pub(crate) mod proxy;
pub(crate) mod pushes;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use local_redis::{LocalRedis, Options};
use sgd_lib::codec::Codec;
use sgd_lib::dataset::{self, Dataset, Split, Transpose};
use sgd_lib::downpour::{DataRef, RunConfig, Surroundings};
use sgd_lib::network::Architecture;
use sgd_lib::optimizer::LearningRateSchedule;
use sgd_lib::store::{MemoryStore, RedisStore, Store};

use self::authority::Authority;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// A store and, where it has one, the server behind it.
pub(crate) struct TestStore {
    pub(crate) name: &'static str,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) redis: Option<LocalRedis>,
    /// Whose certificate the server shows: the files must be there as long as it is.
    authority: Option<Authority>,
}

/// A store in a private redis-server.
pub(crate) fn redis() -> TestStore {
    let redis = LocalRedis::start(Options::default()).expect("a redis-server starts");
    let store = RedisStore::open(redis.url()).expect("its address is one");
    TestStore { name: "redis", store: Arc::new(store), redis: Some(redis), authority: None }
}

/// Both stores, empty.
pub(crate) fn stores() -> [TestStore; 2] {
    [TestStore { name: "memory", store: Arc::new(MemoryStore::new()), redis: None, authority: None }, redis()]
}

/// Both stores, and a private redis-server under TLS.
pub(crate) fn stores_and_tls() -> [TestStore; 3] {
    let authority = Authority::new();
    let redis = authority.server(&[]);
    let store = RedisStore::open(redis.url()).expect("its address is one");
    let store = store.with_authorities("a test", authority.pem().as_bytes()).expect("an authority");
    let tls =
        TestStore { name: "tls", store: Arc::new(store), redis: Some(redis), authority: Some(authority) };
    let [memory, redis] = stores();
    [memory, redis, tls]
}

/// A configuration for tests that do not train.
pub(crate) fn config(workers: u32) -> RunConfig {
    RunConfig {
        workers,
        learning_rate: 0.5,
        schedule: LearningRateSchedule::Constant,
        epochs: 1,
        codec: Codec::F32,
        ..RunConfig::new(DataRef::named("test"), Architecture::new(4, &[3], 2).expect("a small network"))
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

/// A part of the training data: epochs on it take milliseconds.
pub(crate) fn part(data: &Dataset) -> Split<'_> {
    data.train().first(8000)
}

/// A place that asks for nothing, until it has been asked `patience` times whether to leave.
pub(crate) struct Here {
    patience: AtomicU64,
}

impl Here {
    pub(crate) fn for_ever() -> Self {
        Self::until(u64::MAX)
    }

    pub(crate) fn until(patience: u64) -> Self {
        Self { patience: AtomicU64::new(patience) }
    }
}

impl Surroundings for Here {
    fn must_leave(&self) -> bool {
        self.patience.fetch_sub(1, Ordering::Relaxed) == 0
    }

    fn recruit(&self, worker: u32) {
        panic!("nobody died, but a successor for worker {worker} is asked for");
    }
}
