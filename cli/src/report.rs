//! What a run did, in figures.

use std::fmt;

use serde::Serialize;
use sgd_lib::downpour::{Change, Database, NodeRecord, Run, RunConfig, RunStatus, StopReason, WorkerRecord};

use crate::render::table::{WorkerRow, workers};
use figures::table::{grouped, short};

/// A run's figures; `train --json` and `report --json` print them.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The run's name.
    pub(crate) run: String,
    /// The data set's name.
    pub(crate) dataset: String,
    /// Images to train on: an epoch.
    pub(crate) train_images: u64,
    /// Workers asked for; fewer may have found a place.
    pub(crate) workers_requested: WorkersRequested,
    /// Where they follow the replicas: how many took part from when on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) workers_over_time: Vec<Presence>,
    /// 1: a single function; 2: train functions, an epoch an invocation; 3: train functions.
    pub(crate) train_type: u8,
    /// Which databases workers push to.
    pub(crate) database: Database,
    /// With one on each node, pushes of a node after which their sum is passed on.
    pub(crate) n_sync: Option<u32>,
    /// The training algorithm.
    pub(crate) algorithm: String,
    /// Samples per minibatch.
    pub(crate) batch_size: u32,
    /// Minibatches between two fetches.
    pub(crate) n_fetch: u32,
    /// Minibatches between two pushes.
    pub(crate) n_push: u32,
    /// How a push is encoded.
    pub(crate) codec: String,
    /// How the run stands.
    pub(crate) state: State,
    /// Seconds from the first minibatch to the last acknowledged push, over all workers.
    pub(crate) train_s: f64,
    /// Share of the whole test set that the final parameters classify rightly.
    pub(crate) test_accuracy: Option<f64>,
    /// The share at which to stop.
    pub(crate) target_accuracy: Option<f64>,
    /// Whether the run stopped because it was reached.
    pub(crate) reached_target: bool,
    /// Whole epochs, of the worker that did most.
    pub(crate) epochs: u32,
    /// Epochs trained by all workers together: their samples over the images to train on.
    pub(crate) iterations: f64,
    /// All workers' samples.
    pub(crate) samples: u64,
    /// All workers' samples in a second of `train_s`.
    pub(crate) samples_per_s: f64,
    /// Bytes of encoded deltas that were pushed.
    pub(crate) bytes_pushed: u64,
    /// Bytes of encoded deltas that were fetched.
    pub(crate) bytes_fetched: u64,
    /// Bytes of encoded deltas that went to the global store, by workers and by the nodes' synchronizers.
    pub(crate) bytes_to_global: u64,
    /// Bytes of encoded deltas that came from there.
    pub(crate) bytes_from_global: u64,
    /// Sums that the nodes' synchronizers passed on.
    pub(crate) synchronizations: u64,
    /// Each worker's part.
    pub(crate) workers: Vec<WorkerReport>,
}

/// How many workers were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WorkersRequested {
    /// So many.
    Number(u32),
    /// As many as there are ready replicas.
    Auto,
}

/// A number, or `"auto"`.
impl Serialize for WorkersRequested {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(workers) => serializer.serialize_u32(*workers),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

/// From then on so many workers took part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Presence {
    /// Seconds since the run's first minibatch.
    s: f64,
    /// Epochs that had been given to workers by then.
    epochs: f64,
    workers: u32,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// Workers train.
    Training,
    /// The final parameters are there and nobody trains any more.
    Finished,
    /// Nobody trains, and it is not finished: it waits for workers.
    Waiting,
}

/// One worker's part of a run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct WorkerReport {
    pub(crate) worker: u32,
    pub(crate) node: String,
    pub(crate) pod: String,
    /// Whether it pushed to a store on its node or to the global one.
    database: Database,
    time_s: f64,
    epochs: u32,
    minibatches: u64,
    samples: u64,
    pushes: u64,
    fetches: u64,
    staleness_mean: f64,
    staleness_max: u64,
    /// Invocations that worked on the shard: with train type 2 one an epoch at least.
    invocations: u32,
    /// How often it changed hands because somebody died or had to leave: not by plan.
    handovers: u32,
}

impl Report {
    /// The figures of a run that stands like this.
    pub(crate) fn new(run: &Run, status: &RunStatus) -> Self {
        Self::of(run.name(), run.config(), status)
    }

    fn of(run: &str, config: &RunConfig, status: &RunStatus) -> Self {
        let records = &status.workers;
        let train_s = duration(records);
        let sum = |figure: fn(&WorkerRecord) -> u64| records.iter().map(figure).sum::<u64>();
        let of_nodes = |figure: fn(&NodeRecord) -> u64| status.nodes.iter().map(figure).sum::<u64>();
        let samples = sum(|record| record.samples);
        Self {
            run: run.to_owned(),
            dataset: config.data.name.clone(),
            train_images: config.data.train_images,
            workers_requested: if config.is_elastic() {
                WorkersRequested::Auto
            } else {
                WorkersRequested::Number(config.workers)
            },
            workers_over_time: presence(config, status),
            train_type: config.train_type,
            database: config.database,
            n_sync: (config.database == Database::Local).then_some(config.n_sync),
            algorithm: config.algorithm.to_string(),
            batch_size: config.batch_size,
            n_fetch: config.n_fetch,
            n_push: config.n_push,
            codec: config.codec.to_string(),
            state: State::of(status),
            train_s,
            test_accuracy: status.result.map(|evaluation| evaluation.accuracy()),
            target_accuracy: config.target_accuracy,
            reached_target: status.control.stop.as_deref() == Some(StopReason::Target.name()),
            epochs: records.iter().map(|record| record.epochs).max().unwrap_or(0),
            iterations: samples as f64 / config.data.train_images.max(1) as f64,
            samples,
            samples_per_s: if train_s > 0.0 { samples as f64 / train_s } else { 0.0 },
            bytes_pushed: sum(|record| record.bytes_pushed),
            bytes_fetched: sum(|record| record.bytes_fetched),
            bytes_to_global: sum(|record| record.bytes_to_global) + of_nodes(|node| node.bytes_to_global),
            bytes_from_global: sum(|record| record.bytes_from_global)
                + of_nodes(|node| node.bytes_from_global),
            synchronizations: of_nodes(|node| node.synchronizations),
            workers: records.iter().map(WorkerReport::new).collect(),
        }
    }
}

/// When workers came and left.
fn presence(config: &RunConfig, status: &RunStatus) -> Vec<Presence> {
    let begun = status.workers.iter().map(|record| record.started_ms).min().unwrap_or(0);
    let epoch = config.data.train_images.div_ceil(u64::from(config.batch_size).max(1)).max(1);
    let presence = |change: &Change| Presence {
        s: change.ms.saturating_sub(begun) as f64 / 1000.0,
        epochs: change.minibatches as f64 / epoch as f64,
        workers: change.workers,
    };
    status.changes.iter().map(presence).collect()
}

/// Seconds from the first beginning to the last end.
fn duration(records: &[WorkerRecord]) -> f64 {
    let start = records.iter().map(|record| record.started_ms).min().unwrap_or(0);
    let end = records.iter().map(|record| record.ended_ms).max().unwrap_or(0);
    end.saturating_sub(start) as f64 / 1000.0
}

impl State {
    fn of(status: &RunStatus) -> Self {
        if status.is_over() {
            Self::Finished
        } else if status.held.contains(&true) {
            Self::Training
        } else {
            Self::Waiting
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Training => "training",
            Self::Finished => "finished",
            Self::Waiting => "waiting for workers",
        })
    }
}

impl WorkerReport {
    fn new(record: &WorkerRecord) -> Self {
        Self {
            worker: record.worker,
            node: record.node.clone(),
            pod: record.pod.clone(),
            database: if record.on_node { Database::Local } else { Database::Global },
            time_s: record.time().as_secs_f64(),
            epochs: record.epochs,
            minibatches: record.minibatches,
            samples: record.samples,
            pushes: record.pushes,
            fetches: record.fetches,
            staleness_mean: record.staleness_mean(),
            staleness_max: record.staleness_max,
            invocations: record.invocations,
            handovers: record.handovers,
        }
    }

    fn row(&self) -> WorkerRow {
        WorkerRow {
            worker: self.worker,
            node: self.node.clone(),
            time_s: self.time_s,
            iterations: self.epochs,
            samples_per_s: if self.time_s > 0.0 { self.samples as f64 / self.time_s } else { 0.0 },
            staleness: self.staleness_mean,
        }
    }
}

impl Report {
    /// How many workers there were when: `workers: 1, 6 from 2.10 s, 2 from 9.30 s`.
    fn attendance(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last: Option<&Presence> = None;
        let mut text = String::new();
        for (index, presence) in self.workers_over_time.iter().enumerate() {
            // Who come or leave together are one change.
            let next = self.workers_over_time.get(index + 1);
            if next.is_some_and(|next| next.s - presence.s < 0.5) {
                continue;
            }
            let from = if last.is_some() { format!(" from {} s", short(presence.s)) } else { String::new() };
            let comma = if last.is_some() { ", " } else { "" };
            text.push_str(&format!("{comma}{}{from}", presence.workers));
            last = Some(presence);
        }
        writeln!(f, "workers, as many as there were ready replicas: {text}")
    }

    /// What went between nodes, and who had no store on its node.
    fn traffic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: u64| short(bytes as f64 / 1e6);
        writeln!(
            f,
            "{} MB pushed on the nodes; {} MB to the global store in {} synchronizations, {} MB from it",
            megabytes(self.bytes_pushed),
            megabytes(self.bytes_to_global),
            self.synchronizations,
            megabytes(self.bytes_from_global)
        )?;
        for worker in self.workers.iter().filter(|worker| worker.database == Database::Global) {
            writeln!(
                f,
                "worker {} found no store on {} and used the global one",
                worker.worker, worker.node
            )?;
        }
        Ok(())
    }
}

/// The table and what is below it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<WorkerRow> = self.workers.iter().map(WorkerReport::row).collect();
        writeln!(f, "run {} on {}: {}", self.run, self.dataset, self.state)?;
        writeln!(f, "{}", workers(&rows))?;
        match self.workers_requested {
            WorkersRequested::Number(wanted) if (rows.len() as u64) < u64::from(wanted) => {
                writeln!(
                    f,
                    "{} of {wanted} workers have no part in it",
                    u64::from(wanted) - rows.len() as u64
                )?;
            }
            WorkersRequested::Number(_) => {}
            WorkersRequested::Auto => self.attendance(f)?,
        }
        if self.database == Database::Local {
            self.traffic(f)?;
        }
        let (samples_per_s, train_s) = (grouped(self.samples_per_s), short(self.train_s));
        write!(f, "{} samples in {train_s} s, {samples_per_s} a second", grouped(self.samples as f64))?;
        if let Some(accuracy) = self.test_accuracy {
            write!(f, "\ntest accuracy {:.2} %", 100.0 * accuracy)?;
        }
        if let Some(target) = self.target_accuracy {
            let reached = if self.reached_target { "reached" } else { "not reached" };
            write!(f, ", target {:.2} % {reached}", 100.0 * target)?;
        }
        Ok(())
    }
}
