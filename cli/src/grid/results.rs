//! The journal of rounds: one line of JSON each, on disk before the next round begins.
//!
//! Lines are only ever added. Of several for the same round of the same configuration the last counts.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::report::Report;

/// Its name in the results folder.
const FILE: &str = "results.jsonl";

/// One round of one configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) configuration: String,
    /// Of everything that makes the configuration, and of the platform.
    pub(crate) fingerprint: String,
    /// From 1.
    pub(crate) round: u32,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

/// What a round came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// Its figures.
    Finished(Measurement),
    /// Why it failed.
    Failed(String),
    /// Its figures are no longer wanted.
    Discarded(String),
}

impl Outcome {
    /// The figures of a round that succeeded.
    pub(crate) fn measurement(&self) -> Option<&Measurement> {
        if let Self::Finished(measurement) = self { Some(measurement) } else { None }
    }

    /// Why the round failed, where it did.
    pub(crate) fn failure(&self) -> Option<&str> {
        if let Self::Failed(why) = self { Some(why) } else { None }
    }
}

/// What a round measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// The run's name.
    pub(crate) run: String,
    /// The data set's name.
    pub(crate) dataset: String,
    /// Images to train on: an epoch.
    pub(crate) train_images: u64,
    /// Seconds from sending the setup invocation to reading the final record.
    pub(crate) time_s: f64,
    /// Seconds from the first minibatch to the last acknowledged push.
    pub(crate) train_s: f64,
    /// Epochs of all workers together, as the original experiments call them.
    pub(crate) iterations: f64,
    /// Share of the whole test set.
    pub(crate) test_accuracy: Option<f64>,
    pub(crate) samples: u64,
    pub(crate) samples_per_s: f64,
    pub(crate) bytes_pushed: u64,
    pub(crate) bytes_fetched: u64,
    /// Where each worker ran.
    pub(crate) workers: Vec<Placement>,
}

/// Where a worker ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Placement {
    pub(crate) worker: u32,
    pub(crate) node: String,
    pub(crate) pod: String,
}

impl Measurement {
    /// A finished run's figures; the whole of it took `time_s` seconds.
    pub(crate) fn new(report: Report, time_s: f64) -> Self {
        Self {
            run: report.run,
            dataset: report.dataset,
            train_images: report.train_images,
            time_s,
            train_s: report.train_s,
            iterations: report.iterations,
            test_accuracy: report.test_accuracy,
            samples: report.samples,
            samples_per_s: report.samples_per_s,
            bytes_pushed: report.bytes_pushed,
            bytes_fetched: report.bytes_fetched,
            workers: report
                .workers
                .into_iter()
                .map(|part| Placement { worker: part.worker, node: part.node, pod: part.pod })
                .collect(),
        }
    }
}

/// The journal, kept from other grids while it is open.
#[derive(Debug)]
pub(crate) struct Results {
    file: File,
    path: PathBuf,
    outcomes: HashMap<(String, String, u32), Outcome>,
}

impl Results {
    /// Opens the journal in `folder`, or begins one. What a kill left of its last line is cut off.
    ///
    /// # Errors
    /// Another grid has it open, it can't be read, or a line is no record.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
        let path = folder.join(FILE);
        let context = || format!("can't open {}", path.display());
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(context)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another grid writes into {}", folder.display()),
            Err(TryLockError::Error(error)) => return Err(error).with_context(context),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(context)?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64).with_context(context)?;
        file.seek(SeekFrom::Start(whole as u64)).with_context(context)?;
        let outcomes = read(&text[..whole])
            .with_context(|| format!("{} (moved away, all rounds are made anew)", path.display()))?;
        Ok(Self { file, path, outcomes })
    }

    /// What a round came to, if it took place.
    pub(crate) fn outcome(&self, configuration: &str, fingerprint: &str, round: u32) -> Option<&Outcome> {
        let key = (configuration.to_owned(), fingerprint.to_owned(), round);
        self.outcomes.get(&key).filter(|outcome| !matches!(outcome, Outcome::Discarded(_)))
    }

    /// Whether a configuration of this name has rounds, but none with this fingerprint.
    pub(crate) fn knows_otherwise(&self, configuration: &str, fingerprint: &str) -> bool {
        let named = || self.outcomes.keys().filter(|(name, _, _)| name == configuration);
        named().next().is_some() && named().all(|(_, other, _)| other != fingerprint)
    }

    /// Adds a round; it is on disk when this returns.
    ///
    /// # Errors
    /// The disk is full, or fails.
    pub(crate) fn add(&mut self, record: Record) -> Result<()> {
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_data())
            .with_context(|| format!("can't write {}", self.path.display()))?;
        let Record { configuration, fingerprint, round, outcome } = record;
        self.outcomes.insert((configuration, fingerprint, round), outcome);
        Ok(())
    }

    /// Lets the rounds of a configuration count no more.
    ///
    /// # Errors
    /// As [`Results::add`].
    pub(crate) fn discard(&mut self, configuration: &str, fingerprint: &str) -> Result<()> {
        let of = |(name, other, round): &(String, String, u32)| {
            (name == configuration && other == fingerprint).then_some(*round)
        };
        let rounds: Vec<u32> = self.outcomes.keys().filter_map(of).collect();
        for round in rounds {
            let (configuration, fingerprint) = (configuration.to_owned(), fingerprint.to_owned());
            let outcome = Outcome::Discarded("run anew on request".to_owned());
            self.add(Record { configuration, fingerprint, round, outcome })?;
        }
        Ok(())
    }
}

fn read(text: &str) -> Result<HashMap<(String, String, u32), Outcome>> {
    let mut outcomes = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let record: Record =
            serde_json::from_str(line).with_context(|| format!("line {} is no round", number + 1))?;
        outcomes.insert((record.configuration, record.fingerprint, record.round), record.outcome);
    }
    Ok(outcomes)
}

#[cfg(test)]
pub(crate) mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A round that took `time_s` seconds on these nodes, a worker each.
    pub(crate) fn measured(time_s: f64, iterations: f64, nodes: &[&str]) -> Measurement {
        let place = |(worker, node): (usize, &&str)| Placement {
            worker: worker as u32,
            node: (*node).to_owned(),
            pod: format!("emnist-train-{worker}"),
        };
        Measurement {
            run: "emnist-bymerge-abc".to_owned(),
            dataset: "emnist-bymerge".to_owned(),
            train_images: 100_000,
            time_s,
            train_s: time_s / 2.0,
            iterations,
            test_accuracy: Some(0.7512),
            samples: 70_000,
            samples_per_s: 70_000.0 / time_s,
            bytes_pushed: 1_000_000,
            bytes_fetched: 2_000_000,
            workers: nodes.iter().enumerate().map(place).collect(),
        }
    }

    /// A record of a configuration whose fingerprint is `f`.
    pub(crate) fn record(configuration: &str, round: u32, outcome: Outcome) -> Record {
        Record { configuration: configuration.to_owned(), fingerprint: "f".to_owned(), round, outcome }
    }

    fn finished() -> Outcome {
        Outcome::Finished(measured(1.5, 0.7, &["a"]))
    }

    #[test]
    fn rounds_are_there_again_at_the_next_start() {
        let folder = TempDir::new().unwrap();
        let mut results = Results::open(folder.path()).unwrap();
        results.add(record("a", 1, Outcome::Failed("no".to_owned()))).unwrap();
        results.add(record("a", 1, finished())).unwrap();
        results.add(record("a", 2, Outcome::Failed("no".to_owned()))).unwrap();
        let error = Results::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("another grid"), "{error}");
        drop(results);
        let results = Results::open(folder.path()).unwrap();
        assert_eq!(results.outcome("a", "f", 1), Some(&finished()));
        assert_eq!(results.outcome("a", "f", 2).unwrap().failure(), Some("no"));
        assert_eq!(results.outcome("a", "f", 3), None);
        assert_eq!(results.outcome("a", "changed", 1), None);
        assert!(results.knows_otherwise("a", "changed"));
        assert!(!results.knows_otherwise("a", "f") && !results.knows_otherwise("b", "f"));
    }

    #[test]
    fn a_line_that_a_kill_cut_is_dropped_and_any_other_damage_is_named() {
        let folder = TempDir::new().unwrap();
        Results::open(folder.path()).unwrap().add(record("a", 1, finished())).unwrap();
        let path = folder.path().join(FILE);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{}", &whole[..whole.len() / 2])).unwrap();
        let mut results = Results::open(folder.path()).unwrap();
        results.add(record("a", 2, finished())).unwrap();
        drop(results);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
        fs::write(&path, format!("{whole}nonsense\n")).unwrap();
        let error = format!("{:#}", Results::open(folder.path()).unwrap_err());
        assert!(error.contains("results.jsonl") && error.contains("line 2 is no round"), "{error}");
    }

    #[test]
    fn what_is_discarded_counts_no_more() {
        let folder = TempDir::new().unwrap();
        let mut results = Results::open(folder.path()).unwrap();
        results.add(record("a", 1, finished())).unwrap();
        results.add(record("b", 1, finished())).unwrap();
        results.discard("a", "f").unwrap();
        drop(results);
        let mut results = Results::open(folder.path()).unwrap();
        assert_eq!(results.outcome("a", "f", 1), None);
        assert_eq!(results.outcome("b", "f", 1), Some(&finished()));
        results.add(record("a", 1, finished())).unwrap();
        assert_eq!(results.outcome("a", "f", 1), Some(&finished()));
    }
}
