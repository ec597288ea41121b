//! How long a run takes to start: from invoking `emnist-setup` to the first minibatch of the last worker, with
//! replicas that are up and from none; and how long opening the prepared data takes.
//!
//! The beginning is this machine's clock just before the request is sent; the end is the time, by Redis' clock,
//! which is the same, of the last event with which a worker says that it begins: nothing but a minibatch follows.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use serde_json::{Value, json};
use sgd_lib::dataset::{self, Dataset, Transpose};
use sgd_lib::downpour::{Event, Run};
use sgd_lib::store::RedisStore;

use crate::context::Context;
use crate::http;
use crate::platform::Platform;
use crate::replicas::Replica;
use crate::report::Report;
use crate::sampling::Samples;

const SETUP: &str = "emnist-setup";
const TRAIN: &str = "emnist-train";
/// Workers with replicas that are up: up to five a replica each, as the function's label allows.
const WARM: [usize; 2] = [2, 5];
/// Workers from no replica: as many as replicas come up then.
const ZERO: usize = 2;
/// Nothing here must take longer.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(1);

/// What is measured of one start.
struct Start {
    /// Milliseconds until the last worker's first minibatch.
    last_ms: f64,
    /// Milliseconds until setup has answered.
    setup_ms: f64,
    /// Page faults of the replicas of workers from before the call until they have stopped, for each worker.
    faults: f64,
}

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let open = dataset_open(context)?;
    let starter = Starter::new(context)?;
    let rounds = context.effort(40, 2);
    let warm = WARM.map(|workers| starter.measure(workers, workers, rounds));
    let [two, five] = warm;
    let (two, five) = (two?, five?);
    let zero = starter.measure(ZERO, 0, context.effort(20, 1))?;
    let opened = ["prepared data opened".into(), Value::Null, json!(open.median()), json!(open.spread())];
    let rows = vec![
        row("replicas are up", WARM[0], &two),
        row("replicas are up", WARM[1], &five),
        row("from no replica", ZERO, &zero),
        opened.into_iter().chain([Value::Null, Value::Null]).collect(),
    ];
    let (two, five, zero) = (last(&two), last(&five), last(&zero));
    Ok(Report {
        columns: vec!["start", "workers", "ms", "± ms", "setup_ms", "faults_per_worker"],
        rows,
        figures: vec![
            ("start.warm_ms", two.median()),
            ("start.zero_ms", zero.median()),
            ("start.dataset_open_ms", open.median()),
        ],
        notes: vec![format!(
            "Medians of {rounds}: from sending the invocation to the last worker's first minibatch; setup_ms: to the \
             answer. Page faults of the workers' replicas, over start, a few minibatches and the end."
        )],
        chart: chart(rounds, &[(WARM[0], two), (WARM[1], five)], &zero),
    })
}

/// How long opening the prepared data takes, in milliseconds: finding the files, seeing that they are those that
/// it was made from, mapping it, and looking at all labels.
fn dataset_open(context: &Context) -> Result<Samples> {
    let cache = tempfile::tempdir().context("making a folder for the prepared data")?;
    let open = || -> Result<f64> {
        let begun = Instant::now();
        let source = dataset::find(&context.data, None)?;
        let data = Dataset::prepare(&source, cache.path(), Transpose::Auto)?;
        let seconds = begun.elapsed().as_secs_f64();
        drop(data);
        Ok(1000.0 * seconds)
    };
    // The first time prepares it.
    open()?;
    Ok(Samples::new((0..context.effort(100, 5)).map(|_| open()).collect::<Result<_>>()?))
}

/// Starts runs on one platform.
struct Starter<'a> {
    context: &'a Context,
    platform: Platform,
    store: Arc<RedisStore>,
}

impl<'a> Starter<'a> {
    fn new(context: &'a Context) -> Result<Self> {
        let platform = Platform::start(context, &[])?;
        let store = Arc::new(RedisStore::open(platform.store_url())?);
        Ok(Self { context, platform, store })
    }

    /// Starts of runs by `workers`, with `replicas` for them, or with none of any function; one more than
    /// `rounds`, which does not count.
    fn measure(&self, workers: usize, replicas: usize, rounds: usize) -> Result<Vec<Start>> {
        let mut starts = Vec::with_capacity(rounds);
        for round in 0..=rounds {
            self.scale(TRAIN, replicas)?;
            self.scale(SETUP, replicas.min(1))?;
            let start = self.start(workers)?;
            if round > 0 {
                starts.push(start);
            }
        }
        Ok(starts)
    }

    fn start(&self, workers: usize) -> Result<Start> {
        let body = json!({
            "data_dir": self.context.data.canonicalize().context("the data's folder")?,
            "number_of_workers": workers,
        });
        let (before, invoked) = (self.faults()?, now_ms()?);
        let answer = http::post(self.platform.gateway(), &format!("/function/{SETUP}"), &body.to_string())?;
        let setup_ms = now_ms()? - invoked;
        let answer: Value = serde_json::from_str(&answer).context("setup's answer")?;
        if answer["workers"] != workers {
            bail!("{workers} workers were to start: {answer}");
        }
        let run = Run::open(self.store.clone(), answer["run"].as_str().unwrap_or_default())?;
        let last_ms = last_begin_ms(&run, workers)? - invoked;
        run.stop()?;
        wait("the run ends", || Ok(run.status()?.is_over()))?;
        let faults = (self.faults()?.saturating_sub(before)) as f64 / workers as f64;
        run.delete()?;
        Ok(Start { last_ms, setup_ms, faults })
    }

    /// Minor page faults so far of all replicas that train.
    fn faults(&self) -> Result<u64> {
        Ok(self.platform.replicas(TRAIN)?.iter().map(Replica::minor_faults).sum())
    }

    /// Waits until a function has exactly so many replicas, all ready, and no process is left of any other.
    fn scale(&self, function: &str, replicas: usize) -> Result<()> {
        self.platform.scale(function, replicas)?;
        let gateway = self.platform.gateway();
        wait(&format!("{function} has {replicas} replicas"), || {
            let found = http::get(gateway, &format!("/system/function/{function}"))?;
            let found: Value = serde_json::from_str(&found).context("what the gateway says of a function")?;
            let ready = found["availableReplicas"].as_u64() == Some(replicas as u64);
            Ok(ready && self.platform.replicas(function)?.len() == replicas)
        })
    }
}

/// When the last of so many workers began: the time in the number of its event.
fn last_begin_ms(run: &Run, workers: usize) -> Result<f64> {
    let (mut begun, mut cursor, deadline) = (Vec::new(), "0".to_owned(), Instant::now() + PATIENCE);
    while begun.len() < workers {
        if Instant::now() > deadline {
            bail!("{} of {workers} workers begin within {PATIENCE:?}", begun.len());
        }
        for (id, event) in run.events(&cursor, Duration::from_millis(100))? {
            if matches!(event, Event::Started { .. }) {
                let time = id.split_once('-').and_then(|(time, _)| time.parse::<f64>().ok());
                begun.push(time.with_context(|| format!("the event {id:?} has no time in its number"))?);
            }
            cursor = id;
        }
    }
    Ok(begun.into_iter().fold(0.0, f64::max))
}

fn wait(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !done()? {
        if Instant::now() > deadline {
            bail!("waited {PATIENCE:?} until {what}");
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Milliseconds since 1970.
fn now_ms() -> Result<f64> {
    let since = SystemTime::UNIX_EPOCH.elapsed().context("this machine's clock is before 1970")?;
    Ok(1000.0 * since.as_secs_f64())
}

fn last(starts: &[Start]) -> Samples {
    Samples::new(starts.iter().map(|start| start.last_ms).collect())
}

fn row(name: &str, workers: usize, starts: &[Start]) -> Vec<Value> {
    let median = |of: fn(&Start) -> f64| json!(Samples::new(starts.iter().map(of).collect()).median());
    let last = last(starts);
    let mut row = vec![json!(name), json!(workers), json!(last.median()), json!(last.spread())];
    row.extend([median(|start| start.setup_ms), median(|start| start.faults)]);
    row
}

fn chart(rounds: usize, warm: &[(usize, Samples); 2], zero: &Samples) -> Chart {
    let point = |workers: usize, samples: &Samples| Point {
        x: workers as f64,
        y: samples.median(),
        deviation: samples.spread(),
    };
    let line = |name: &str, points| Line { name: name.to_owned(), points };
    let warm = warm.iter().map(|(workers, samples)| point(*workers, samples)).collect();
    Chart {
        title: "From invoking emnist-setup to the last first minibatch".to_owned(),
        subtitle: format!("Local platform; median of {rounds} (from no replica: of half as many)"),
        x: Axis::new("Workers", Scale::Linear),
        y: Axis { from_zero: true, ..Axis::new("Time (ms)", Scale::Linear) },
        measured: Lines {
            heading: "Replicas".to_owned(),
            lines: vec![line("are up", warm), line("there are none", vec![point(ZERO, zero)])],
            ..Lines::default()
        },
        compared: Lines::default(),
    }
}
