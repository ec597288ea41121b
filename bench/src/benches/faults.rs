//! What it costs when something dies in the middle of a run: one of three workers, or Redis, which comes back three
//! seconds later. Time to a target, against runs that nobody disturbs, in turns on one local platform.

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
use crate::http;
use crate::platform::Platform;
use crate::redis::Server;
use crate::report::Report;
use crate::sampling::{Contestant, Samples, take_turns};

const FAULTS: [&str; 3] = ["none", "a worker killed", "Redis killed for 3 s"];
const OUTAGE: Duration = Duration::from_secs(3);
/// A worker's lease, in seconds: nobody can miss it earlier.
const LEASE: f64 = 2.0;
/// Events of progress, ten a second by each worker, before anything happens.
const LATE: usize = 30;

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let server = RefCell::new(Server::start(Transport::Tcp, true)?);
    let platform = Platform::start(context, &["--redis", server.borrow().url()])?;
    let scale = r#"{"serviceName": "emnist-train", "replicas": 3}"#;
    http::post(platform.gateway(), "/system/scale-function/emnist-train", scale)?;
    let (target, rounds) = (context.effort("0.75", "0.3"), context.effort(5, 1));
    let contestants: [fn(&Platform, &RefCell<Server>, &str) -> Result<()>; 3] =
        [|_, _, _| Ok(()), kill_worker, kill_redis];
    let mut contestants: Vec<Contestant<'_>> = contestants
        .map(|fault| -> Contestant<'_> {
            let (platform, server) = (&platform, &server);
            Box::new(move || {
                let report = train(platform, target, |pod| fault(platform, server, pod))?;
                Ok(report["train_s"].as_f64().unwrap_or(f64::NAN))
            })
        })
        .into();
    let seconds = take_turns(rounds, &mut contestants)?;
    let [none, worker, redis] = [0, 1, 2].map(|fault: usize| seconds[fault].median());
    Ok(Report {
        columns: vec!["fault", "train_s", "± s"],
        rows: FAULTS.iter().zip(&seconds).map(row).collect(),
        figures: vec![
            ("faults.worker_time", (worker - LEASE) / none),
            ("faults.redis_extra_s", redis - none),
        ],
        notes: vec![format!(
            "Medians of {rounds}; three workers, to {target} test accuracy. worker_time: without the {LEASE} s of \
             the lease, by the undisturbed time."
        )],
        chart: chart(&seconds, target, rounds),
    })
}

/// Trains to the target; `fault` happens when the run is well on its way, with the replica of worker 1.
fn train(platform: &Platform, target: &str, fault: impl Fn(&str) -> Result<()>) -> Result<Value> {
    // A rate at which it takes a while.
    let flags = ["--workers", "3", "--learning-rate", "0.004", "--lr-schedule", "constant"];
    let mut command =
        platform.training(flags.iter().chain(&["--target-accuracy", target, "--epochs", "2000"]));
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().context("starting to train")?;
    let output = child.stdout.take().context("no output of downpour train")?;
    let (mut pod, mut progress, mut last) = (String::new(), 0, Value::Null);
    for line in BufReader::new(output).lines() {
        last = serde_json::from_str(&line?).context("a line of downpour train")?;
        match last["event"].as_str() {
            Some("started") if last["worker"] == 1 && pod.is_empty() => {
                last["pod"].as_str().unwrap_or_default().clone_into(&mut pod);
            }
            Some("progress") => {
                progress += 1;
                if progress == LATE {
                    fault(&pod)?;
                }
            }
            _ => {}
        }
    }
    if !child.wait().context("waiting for downpour train")?.success() || progress < LATE {
        bail!("downpour train failed, or was over before anything happened, after {progress} events: {last}");
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

fn row((fault, samples): (&&str, &Samples)) -> Vec<Value> {
    vec![json!(fault), json!(samples.median()), json!(samples.spread())]
}

fn chart(seconds: &[Samples], target: &str, rounds: usize) -> Chart {
    let point = |(x, samples): (usize, &Samples)| Point {
        x: x as f64,
        y: samples.median(),
        deviation: samples.spread(),
    };
    Chart {
        title: "When something dies".to_owned(),
        subtitle: format!("Time to {target} test accuracy, three workers; median of {rounds}"),
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
