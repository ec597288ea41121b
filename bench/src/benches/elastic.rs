//! How soon a run follows the replicas (`number_of_workers=auto`): from the call that scales the train function
//! until as many workers as it has replicas have trained, or no more than those are left.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Seek as _};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use serde_json::{Value, json};
use sgd_lib::downpour::{Event, Run};
use sgd_lib::store::{RedisStore, Store as _};

use crate::context::Context;
use crate::platform::Platform;
use crate::report::Report;
use crate::sampling::Samples;

/// Replicas, and those after them: the first is where each round begins, and is not measured.
const STEPS: [u32; 3] = [1, 6, 2];
const COLUMNS: [&str; 6] = ["replicas", "s", "± s", "max s", "samples/s before", "samples/s after"];
/// For so long samples are counted, before a step and after it.
const WINDOW: Duration = Duration::from_secs(2);
/// A step must not take longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// What was measured of one step.
#[derive(Default)]
struct Step {
    seconds: Vec<f64>,
    before: Vec<f64>,
    after: Vec<f64>,
}

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let folder = tempfile::TempDir::new().context("making a folder for the stack file")?;
    let stack = folder.path().join("stack.yml");
    std::fs::write(&stack, stack_file()?).context("writing the stack file")?;
    let platform = Platform::start(context, &["-f", &stack.to_string_lossy()])?;
    let mut training = Training::start(&platform)?;
    let (rounds, window) = (context.effort(7, 1), context.effort(WINDOW, WINDOW / 10));
    let mut steps: [Step; 2] = Default::default();
    for round in 0..rounds {
        context.say(&format!("round {} of {rounds}", round + 1));
        training.scale(&platform, STEPS[0])?;
        for (step, replicas) in steps.iter_mut().zip(&STEPS[1..]) {
            step.before.push(training.rate(window)?);
            step.seconds.push(training.scale(&platform, *replicas)?);
            step.after.push(training.rate(window)?);
        }
    }
    let [up, down] = &steps;
    let median = |step: &Step| Samples::new(step.seconds.clone()).median();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(Report {
        columns: COLUMNS.to_vec(),
        rows: steps.iter().zip(STEPS.windows(2)).map(|(step, pair)| row(step, pair)).collect(),
        figures: vec![("elastic.up_s", median(up)), ("elastic.down_s", median(down))],
        notes: vec![
            format!("Medians of {rounds}, on {cores} cores: more workers than cores train no faster."),
            "To more: until each worker has trained for a tenth of a second; to fewer: until the others have left."
                .to_owned(),
        ],
        chart: chart(&steps, rounds),
    })
}

/// The project's stack, with room for the replicas.
fn stack_file() -> Result<String> {
    const STACK: &str = include_str!("../../../stack.yml");
    let (least, most) = (r#"com.openfaas.scale.min: "2""#, r#"com.openfaas.scale.max: "5""#);
    ensure!(STACK.contains(least) && STACK.contains(most), "stack.yml has no {least} and {most}");
    Ok(STACK.replacen(least, &least.replace('2', "1"), 1).replacen(most, &most.replace('5', "6"), 1))
}

/// A run that goes on for as long as it is looked at.
struct Training {
    run: Run,
    train: Child,
    /// The last event that was read.
    cursor: String,
    /// What each worker has done.
    samples: BTreeMap<u32, u64>,
}

impl Training {
    fn start(platform: &Platform) -> Result<Self> {
        // Far more epochs than there is time for.
        let flags = ["--workers", "auto", "--epochs", "100000", "--learning-rate", "0.01"];
        let mut command = platform.training(flags);
        let mut said = tempfile::tempfile().context("a file for what is said")?;
        let stderr = said.try_clone().context("a file for what is said")?;
        let mut train = command.stdout(Stdio::null()).stderr(stderr).spawn().context("starting to train")?;
        let store = Arc::new(RedisStore::open(platform.store_url())?);
        let begun = Instant::now();
        let name = loop {
            if let Some(name) = store.runs()?.pop() {
                break name;
            }
            let ended = train.try_wait().context("looking after the training")?;
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let mut why = String::new();
                said.rewind().and_then(|()| said.read_to_string(&mut why)).context("what was said")?;
                bail!("no run begins; the training ended: {ended:?}; it said: {why}");
            }
            thread::sleep(LOOK);
        };
        let run = Run::open(store, &name)?;
        Ok(Self { run, train, cursor: "0".to_owned(), samples: BTreeMap::new() })
    }

    /// Takes in what was told since the last time; who made progress.
    fn read(&mut self) -> Result<BTreeSet<u32>> {
        let mut progress = BTreeSet::new();
        for (id, event) in self.run.events(&self.cursor, LOOK)? {
            self.cursor = id;
            if let Event::Progress { worker, samples, .. } = event {
                self.samples.insert(worker, samples);
                progress.insert(worker);
            }
        }
        ensure!(self.train.try_wait().context("looking after the training")?.is_none(), "the run ended");
        Ok(progress)
    }

    /// Samples a second, by all workers.
    fn rate(&mut self, window: Duration) -> Result<f64> {
        let total = |samples: &BTreeMap<u32, u64>| samples.values().sum::<u64>();
        self.read()?;
        let (begun, before) = (Instant::now(), total(&self.samples));
        thread::sleep(window);
        self.read()?;
        Ok((total(&self.samples) - before) as f64 / begun.elapsed().as_secs_f64())
    }

    /// Scales the train function, and waits until the run has followed; how many seconds that took.
    fn scale(&mut self, platform: &Platform, replicas: u32) -> Result<f64> {
        self.read()?;
        let (begun, mut trained) = (Instant::now(), BTreeSet::new());
        platform.scale("emnist-train", replicas as usize)?;
        while begun.elapsed() < PATIENCE {
            trained.extend(self.read()?);
            let workers = self.run.status()?.changes.last().map_or(0, |change| change.workers);
            if workers == replicas && trained.len() >= replicas as usize {
                return Ok(begun.elapsed().as_secs_f64());
            }
        }
        bail!("{:?} after {replicas} replicas were asked for: {:?}", PATIENCE, self.run.status()?.changes)
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        // Where it can't be ended it has ended already; its workers end with the platform.
        let _ = self.train.kill();
        let _ = self.train.wait();
    }
}

fn row(step: &Step, pair: &[u32]) -> Vec<Value> {
    let seconds = Samples::new(step.seconds.clone());
    let rate = |rates: &[f64]| json!(Samples::new(rates.to_vec()).median());
    vec![
        json!(format!("{} → {}", pair[0], pair[1])),
        json!(seconds.median()),
        json!(seconds.spread()),
        json!(seconds.quantile(1.0)),
        rate(&step.before),
        rate(&step.after),
    ]
}

fn chart(steps: &[Step; 2], rounds: usize) -> Chart {
    let point = |(step, x): (&Step, &u32)| {
        let seconds = Samples::new(step.seconds.clone());
        Point { x: f64::from(*x), y: seconds.median(), deviation: seconds.spread() }
    };
    let points = steps.iter().zip(&STEPS[1..]).map(point).collect();
    Chart {
        title: "From a scale call to workers".to_owned(),
        subtitle: format!("From 1 replica to 6, and from 6 to 2; median of {rounds}"),
        x: Axis::new("Replicas asked for", Scale::Linear),
        y: Axis { from_zero: true, ..Axis::new("Time (s)", Scale::Linear) },
        measured: Lines {
            heading: "Measured".to_owned(),
            lines: vec![Line { name: "until the run has followed".to_owned(), points }],
            ..Lines::default()
        },
        compared: Lines::default(),
    }
}
