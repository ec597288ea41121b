//! Run after run, and what is said of each.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use scenarios::{Data, Place};
use serde_json::{Value, json};

use crate::ordeal::{Outcome, go_through};
use crate::schedule::Schedule;
use crate::variant::Variant;

/// A disturbed run's accuracy may be so far from the undisturbed one's.
const TOLERANCE: f64 = 0.01;

/// What all runs came to.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Runs that were disturbed.
    pub(crate) runs: u64,
    /// Faults that happened in them.
    pub(crate) faults: u64,
    /// Runs with which something is wrong.
    pub(crate) failed_runs: u64,
    /// Pushes and minibatches that are missing.
    pub(crate) lost: u64,
    /// Pushes and minibatches that count more than once.
    pub(crate) doubled: u64,
    /// The first run's seed; each other's is one more.
    pub(crate) seed: u64,
}

impl Summary {
    /// One JSON value.
    pub(crate) fn json(&self) -> Value {
        let Self { runs, faults, failed_runs, lost, doubled, seed } = self;
        json!({
            "runs": runs, "faults": faults, "failed_runs": failed_runs, "lost": lost, "doubled": doubled,
            "seed": seed,
        })
    }
}

/// A series of runs.
pub(crate) struct Suite {
    data: Data,
    /// The undisturbed accuracy, for each variant that was needed so far.
    undisturbed: BTreeMap<String, f64>,
    summary: Summary,
}

/// A run that came to its end, or why it did not; its folder.
struct Ran {
    outcome: Result<Outcome, String>,
    folder: PathBuf,
    took: Duration,
}

impl Suite {
    /// Goes through `runs` runs, of this seed and those that follow, and says of each what became of it.
    pub(crate) fn run(runs: u64, seed: u64) -> Summary {
        panic::set_hook(Box::new(note_panic));
        let summary = Summary { seed, ..Summary::default() };
        let mut suite = Self { data: Data::find(), undisturbed: BTreeMap::new(), summary };
        for seed in seed..seed + runs {
            suite.one(&Schedule::draw(seed));
        }
        suite.summary
    }

    fn one(&mut self, schedule: &Schedule) {
        self.summary.runs += 1;
        let wanted = match self.undisturbed(schedule.variant) {
            Ok(wanted) => wanted,
            Err(complaint) => return self.conclude(schedule, &[], &[complaint], ""),
        };
        let ran = self.ran(schedule);
        let mut complaints = ran.complaints();
        let Ok(outcome) = &ran.outcome else {
            return self.conclude(schedule, &ran.kept(), &complaints, &ran.seconds());
        };
        self.summary.faults += outcome.inflicted.len() as u64;
        self.summary.lost += outcome.findings.lost;
        self.summary.doubled += outcome.findings.doubled;
        let difference = outcome.accuracy - wanted;
        if difference.abs() > TOLERANCE {
            complaints.push(format!("accuracy {:.4}, undisturbed {wanted:.4}", outcome.accuracy));
        }
        let faults: Vec<_> = outcome.inflicted.iter().map(ToString::to_string).collect();
        let took = format!("{} {} accuracy {difference:+.4}", faults.join("; "), ran.seconds());
        if complaints.is_empty() {
            ran.clear();
        }
        self.conclude(schedule, &ran.kept(), &complaints, &took);
    }

    /// The accuracy of this way of training where nothing goes wrong; measured once.
    fn undisturbed(&mut self, variant: &'static Variant) -> Result<f64, String> {
        if let Some(accuracy) = self.undisturbed.get(&variant.to_string()) {
            return Ok(*accuracy);
        }
        let ran = self.ran(&Schedule::undisturbed(variant));
        let complaints = ran.complaints();
        match ran.outcome {
            Ok(ref outcome) if complaints.is_empty() => {
                ran.clear();
                eprintln!("undisturbed: {variant}: accuracy {:.4} {}", outcome.accuracy, ran.seconds());
                self.undisturbed.insert(variant.to_string(), outcome.accuracy);
                Ok(outcome.accuracy)
            }
            _ => Err(format!("undisturbed: {}, see {}", complaints.join("; "), ran.folder.display())),
        }
    }

    fn ran(&self, schedule: &Schedule) -> Ran {
        let mut place = Place::new();
        let (begun, folder) = (Instant::now(), place.keep());
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| go_through(place, schedule, &self.data)));
        let outcome = outcome.map_err(|_| std::mem::take(&mut *last_panic()));
        Ran { outcome, folder, took: begun.elapsed() }
    }

    /// Says what became of a run.
    fn conclude(&mut self, schedule: &Schedule, kept: &[String], complaints: &[String], what: &str) {
        let Schedule { seed, variant, .. } = schedule;
        if complaints.is_empty() {
            eprintln!("seed {seed}: {variant}: {what}: survived");
            return;
        }
        self.summary.failed_runs += 1;
        eprintln!(
            "seed {seed}: {variant}: {what}: FAILED: {}; again: RUNS=1 SEED={seed} make chaos{}",
            complaints.join("; "),
            kept.concat(),
        );
    }
}

impl Ran {
    fn complaints(&self) -> Vec<String> {
        match &self.outcome {
            Ok(outcome) => [&*outcome.findings.complaints, &outcome.complaints].concat(),
            Err(panic) => vec![panic.clone()],
        }
    }

    fn kept(&self) -> Vec<String> {
        vec![format!("; its logs are in {}", self.folder.display())]
    }

    fn seconds(&self) -> String {
        let trained = self.outcome.as_ref().map_or(Duration::ZERO, |outcome| outcome.trained);
        format!("({:.1} s, training {:.1} s)", self.took.as_secs_f64(), trained.as_secs_f64())
    }

    /// Nobody has to look at what it left.
    fn clear(&self) {
        std::fs::remove_dir_all(&self.folder).expect("a folder of ours");
    }
}

/// What the last panic said, and where it was.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn last_panic() -> std::sync::MutexGuard<'static, String> {
    LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner)
}

fn note_panic(info: &panic::PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let payload = info.payload();
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let message = text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a word");
    *last_panic() = format!("{message} ({place})");
}
