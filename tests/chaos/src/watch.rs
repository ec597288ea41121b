//! A run as it goes on, seen past the bad network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sgd_lib::downpour::{Event, Run, RunStatus};
use sgd_lib::store::RedisStore;

/// Redis answers at once or, where it was just killed, not at all.
const PATIENCE: Duration = Duration::from_millis(200);

/// Who follows a run.
pub(crate) struct Watch {
    run: Run,
    cursor: String,
    samples: BTreeMap<u32, u64>,
    pods: BTreeMap<u32, String>,
}

impl Watch {
    /// Follows the run of this name in the Redis at this address.
    ///
    /// # Panics
    /// There is none.
    pub(crate) fn of(url: &str, run: &str) -> Self {
        let store = RedisStore::open(url).expect("an address").with_patience(PATIENCE);
        let run = Run::open(Arc::new(store), run).expect("a run");
        Self { run, cursor: "0".to_owned(), samples: BTreeMap::new(), pods: BTreeMap::new() }
    }

    /// The run.
    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// Reads what was told since the last look, if it can be read.
    pub(crate) fn look(&mut self) {
        for (id, event) in self.run.events(&self.cursor, Duration::ZERO).unwrap_or_default() {
            self.cursor = id;
            match event {
                Event::Started { worker, pod, .. } => {
                    self.pods.insert(worker, pod);
                    self.samples.entry(worker).or_default();
                }
                Event::Progress { worker, samples, .. } => {
                    self.samples.insert(worker, samples);
                }
                Event::Evaluated { .. } | Event::Left { .. } => {}
            }
        }
    }

    /// Workers that have ever begun.
    pub(crate) fn begun(&self) -> usize {
        self.samples.len()
    }

    /// The share of the run's samples that its workers have told of.
    pub(crate) fn share(&self) -> f64 {
        let config = self.run.config();
        let all = config.data.train_images * u64::from(config.epochs);
        self.samples.values().sum::<u64>() as f64 / all as f64
    }

    /// The replica that a worker was in last.
    pub(crate) fn pod_of(&self, worker: u32) -> Option<&str> {
        self.pods.get(&worker).map(String::as_str)
    }

    /// How the run stands, if that can be read.
    pub(crate) fn status(&self) -> Option<RunStatus> {
        self.run.status().ok()
    }
}
