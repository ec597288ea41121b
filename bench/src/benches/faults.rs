//! What it costs when something dies in the middle of a run: one of three workers, or Redis, which comes back three
//! seconds later. Time for the same epochs, against runs that nobody disturbs, in turns on one local platform.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use local_redis::Transport;
use serde_json::{Value, json};

use crate::context::Context;
use crate::platform::Platform;
use crate::redis::Server;
use crate::report::Report;
use crate::sampling::{Contestant, Samples, take_turns};

const FAULTS: [&str; 3] = ["none", "a worker killed", "Redis killed for 3 s"];
const OUTAGE: Duration = Duration::from_secs(3);
/// A worker's lease, in seconds: nobody can miss it earlier.
const LEASE: f64 = 2.0;
/// Before anything happens so much of the run is done.
const LATE: f64 = 0.5;

/// What happens, on a platform and its Redis, with the replica of this name.
type Fault = fn(&Platform, &RefCell<Server>, &str) -> Result<()>;

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let server = RefCell::new(Server::start(Transport::Tcp, true)?);
    let platform = Platform::start(context, &["--redis", server.borrow().url()])?;
    platform.scale("emnist-train", 3)?;
    let (epochs, rounds) = (context.effort(60, 4), context.effort(5, 1));
    let accuracies: [RefCell<Vec<f64>>; 3] = Default::default();
    let contestants: [Fault; 3] = [|_, _, _| Ok(()), kill_worker, kill_redis];
    let mut contestants: Vec<Contestant<'_>> = contestants
        .into_iter()
        .zip(&accuracies)
        .map(|(fault, accuracies)| -> Contestant<'_> {
            let (platform, server) = (&platform, &server);
            Box::new(move || {
                let report = train(platform, epochs, |pod| fault(platform, server, pod))?;
                accuracies.borrow_mut().push(report["test_accuracy"].as_f64().unwrap_or(f64::NAN));
                Ok(report["train_s"].as_f64().unwrap_or(f64::NAN))
            })
        })
        .collect();
    let seconds = take_turns(rounds, &mut contestants)?;
    drop(contestants);
    let accuracies = accuracies.map(|accuracies| Samples::new(accuracies.into_inner()));
    let [none, worker, redis] = [0, 1, 2].map(|fault: usize| seconds[fault].median());
    Ok(Report {
        columns: vec!["fault", "train_s", "± s", "test_accuracy"],
        rows: (0..FAULTS.len())
            .map(|fault| row(FAULTS[fault], &seconds[fault], &accuracies[fault]))
            .collect(),
        figures: vec![
            ("faults.worker_time", (worker - LEASE) / none),
            ("faults.redis_extra_s", redis - none),
        ],
        notes: vec![format!(
            "Medians of {rounds}; {epochs} epochs by three workers. worker_time: without the {LEASE} s of the lease, by \
             the undisturbed time."
        )],
        chart: chart(&seconds, epochs, rounds),
    })
}

/// Trains for so many epochs; `fault` happens in the middle, with the replica of worker 1.
fn train(platform: &Platform, epochs: u64, fault: impl Fn(&str) -> Result<()>) -> Result<Value> {
    let mut command = platform.training(["--workers", "3", "--epochs", &epochs.to_string()]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("starting to train")?;
    let output = child.stdout.take().context("no output of downpour train")?;
    let (mut pod, mut happened, mut last) = (String::new(), false, Value::Null);
    for line in BufReader::new(output).lines() {
        last = serde_json::from_str(&line?).context("a line of downpour train")?;
        match last["event"].as_str() {
            Some("started") if last["worker"] == 1 && pod.is_empty() => {
                last["pod"].as_str().unwrap_or_default().clone_into(&mut pod);
            }
            Some("progress") if !happened && last["epoch"].as_f64() >= Some(LATE * epochs as f64) => {
                happened = true;
                fault(&pod)?;
            }
            _ => {}
        }
    }
    if !child.wait().context("waiting for downpour train")?.success() || !happened {
        bail!("downpour train failed, or was over before anything happened: {last}");
    }
    Ok(last)
}

fn kill_worker(platform: &Platform, _: &RefCell<Server>, pod: &str) -> Result<()> {
    let replicas = platform.replicas("emnist-train")?;
    let replica = replicas.into_iter().find(|replica| replica.pod == pod);
    replica.with_context(|| format!("no replica {pod}"))?.kill()
}

fn kill_redis(_: &Platform, server: &RefCell<Server>, _: &str) -> Result<()> {
    let mut server = server.borrow_mut();
    server.kill()?;
    thread::sleep(OUTAGE);
    server.restart()
}

fn row(fault: &str, seconds: &Samples, accuracies: &Samples) -> Vec<Value> {
    vec![json!(fault), json!(seconds.median()), json!(seconds.spread()), json!(accuracies.median())]
}

fn chart(seconds: &[Samples], epochs: u64, rounds: usize) -> Chart {
    let point = |(x, samples): (usize, &Samples)| Point {
        x: x as f64,
        y: samples.median(),
        deviation: samples.spread(),
    };
    Chart {
        title: "When something dies".to_owned(),
        subtitle: format!("Time for {epochs} epochs by three workers; median of {rounds}"),
        x: Axis::new("0 nothing, 1 a worker killed, 2 Redis killed for 3 s", Scale::Linear),
        y: Axis { from_zero: true, ..Axis::new("Time (s)", Scale::Linear) },
        measured: Lines {
            heading: "Measured".to_owned(),
            lines: vec![Line {
                name: "train_s".to_owned(),
                points: seconds.iter().enumerate().map(point).collect(),
            }],
            ..Lines::default()
        },
        compared: Lines::default(),
    }
}
