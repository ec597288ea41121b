//! How long the probes of train functions take while training uses every core: asked on each replica's own port,
//! over a new connection each time, as the kubelet does.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use serde_json::{Value, json};

use crate::context::Context;
use crate::http;
use crate::platform::Platform;
use crate::report::Report;
use crate::sampling::Samples;

const WORKERS: &str = "6";
const PATHS: [&str; 2] = ["/_/health", "/_/ready"];
const COLUMNS: [&str; 6] = ["probe", "count", "p50_ms", "p90_ms", "p99_ms", "max_ms"];
const SHARES: [f64; 4] = [0.5, 0.9, 0.99, 1.0];
/// Between two probes: far more often than a kubelet's, and far from being a load.
const PAUSE: Duration = Duration::from_millis(20);

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let platform = Platform::start(context, &[])?;
    let training = Training::start(&platform)?;
    let replicas = platform.replicas("emnist-train")?;
    let rounds = context.effort(800, 25) / replicas.len().max(1);
    let mut milliseconds = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for replica in &replicas {
            for (path, found) in PATHS.iter().zip(&mut milliseconds) {
                thread::sleep(PAUSE);
                let asked = Instant::now();
                http::get(&replica.authority, path)?;
                found.push(1000.0 * asked.elapsed().as_secs_f64());
            }
        }
    }
    training.check()?;
    let samples = milliseconds.map(Samples::new);
    let worst = samples.iter().map(|samples| samples.quantile(0.99)).fold(0.0, f64::max);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(Report {
        columns: COLUMNS.to_vec(),
        rows: PATHS.iter().zip(&samples).map(|(path, samples)| row(path, samples)).collect(),
        figures: vec![("probes.p99_ms", worst)],
        notes: vec![format!("{WORKERS} workers in {} replicas on {cores} cores.", replicas.len())],
        chart: chart(&samples, cores),
    })
}

/// A run that goes on for as long as it is looked at.
struct Training(Child);

impl Training {
    /// Comes back when the workers are on their way.
    fn start(platform: &Platform) -> Result<Self> {
        // Far more epochs than there is time for.
        let mut command =
            platform.training(["--workers", WORKERS, "--epochs", "100000", "--learning-rate", "0.01"]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("starting to train")?;
        let output = child.stdout.take().context("no output of downpour train")?;
        let training = Self(child);
        let mut lines = BufReader::new(output).lines();
        if !lines.any(|line| line.is_ok_and(|line| line.contains(r#""event":"progress""#))) {
            bail!("downpour train ended before it made progress");
        }
        // Whoever writes to a pipe that nobody reads stops.
        thread::spawn(move || lines.for_each(drop));
        Ok(training)
    }

    /// Fails unless it still goes on: then so it did while probes were measured.
    fn check(mut self) -> Result<()> {
        match self.0.try_wait().context("looking after the training")? {
            None => Ok(()),
            Some(status) => bail!("training ended while probes were measured, {status}"),
        }
    }
}

impl Drop for Training {
    fn drop(&mut self) {
        // Where it can't be ended it has ended already; its workers end with the platform.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn row(path: &str, samples: &Samples) -> Vec<Value> {
    let quantiles = SHARES.iter().map(|share| json!(samples.quantile(*share)));
    [json!(path), json!(samples.count())].into_iter().chain(quantiles).collect()
}

fn chart(samples: &[Samples; 2], cores: usize) -> Chart {
    let point = |samples: &Samples, percent: u32| {
        let y = samples.quantile(f64::from(percent) / 100.0);
        Point { x: f64::from(percent), y, deviation: 0.0 }
    };
    let points = |samples: &Samples| [50, 75, 90, 95, 99].map(|percent| point(samples, percent)).to_vec();
    let line =
        |(path, samples): (&&str, &Samples)| Line { name: (*path).to_owned(), points: points(samples) };
    Chart {
        title: "Probes of functions that train".to_owned(),
        subtitle: format!("{WORKERS} workers on {cores} cores, {} probes each", samples[0].count()),
        x: Axis::new("Percentile", Scale::Linear),
        y: Axis { from_zero: true, ..Axis::new("Time to the answer (ms)", Scale::Linear) },
        measured: Lines {
            heading: "Probe".to_owned(),
            lines: PATHS.iter().zip(samples).map(line).collect(),
            ..Lines::default()
        },
        compared: Lines::default(),
    }
}
