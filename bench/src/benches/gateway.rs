//! The local gateway under load: 10,000 calls of a function that does nothing, over 200 connections, while replicas
//! are killed; then as many asynchronous ones, all of them queued before the first may end.
//!
//! *Accepted* is a synchronous call that was answered with success, and an asynchronous one that was answered 202. A
//! call is *lost* if its connection broke without a whole answer, if the answer was not its own, or if it was accepted
//! and its callback did not come.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use serde_json::{Value, json};

use crate::callbacks::Callbacks;
use crate::context::Context;
use crate::http;
use crate::load::{Answers, Load};
use crate::platform::Platform;
use crate::report::Report;
use crate::sampling::Samples;

const CONNECTIONS: usize = 200;
const REPLICAS: usize = 5;
/// The program that is the function's image, and the names of its two deployments.
const IMAGE: &str = "downpour-bench-noop";
const NOOP: &str = "noop";
const HELD: &str = "held";
/// Nothing here must take longer.
const PATIENCE: Duration = Duration::from_secs(120);
const COLUMNS: [&str; 10] =
    ["calls", "count", "p50_ms", "p90_ms", "p99_ms", "max_ms", "calls_per_s", "refused", "lost", "doubled"];
const SHARES: [f64; 4] = [0.5, 0.9, 0.99, 1.0];

/// What was measured of one kind of call.
struct Measured {
    name: &'static str,
    answers: Answers,
    milliseconds: Samples,
    /// Accepted calls whose answer did not come, and those that were answered more than once.
    missing: usize,
    doubled: usize,
}

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let program = context.downpour.with_file_name(IMAGE);
    if !program.is_file() {
        bail!("{} is not there; build it: cargo build --release -p bench", program.display());
    }
    let folder = tempfile::tempdir().context("making a folder for the stack")?;
    let begin = folder.path().join("begin");
    let stack = write_stack(folder.path(), &begin)?;
    // No function needs a Redis, so none is started.
    let platform = Platform::start(context, &["-f", &stack, "--redis", "redis://127.0.0.1:1"])?;
    for function in [NOOP, HELD] {
        await_replicas(&platform, function)?;
    }
    let calls = context.effort(10_000, 400);
    let synchronous = synchronous(&platform, calls)?;
    let before_queue = platform.peak_memory_mib()?;
    let (queued, memory) = asynchronous(&platform, calls, &begin)?;
    let all = [synchronous, queued];
    let lost: usize = all.iter().map(|measured| measured.answers.lost + measured.missing).sum();
    Ok(Report {
        columns: COLUMNS.to_vec(),
        rows: all.iter().map(Measured::row).collect(),
        figures: vec![
            ("gateway.p99_ms", all[0].milliseconds.quantile(0.99)),
            ("gateway.async_p99_ms", all[1].milliseconds.quantile(0.99)),
            ("gateway.calls_per_s", all[0].per_second()),
            ("gateway.lost", lost as f64),
            ("gateway.memory_mib", memory),
        ],
        notes: vec![
            format!(
                "{CONNECTIONS} connections, {REPLICAS} replicas a function, {REPLICAS} killed during each kind of call."
            ),
            format!(
                "The gateway's largest resident set: {before_queue:.0} MiB until all synchronous calls were answered, \
                 {memory:.0} MiB in all."
            ),
            "p50 to max: to the whole answer, which is a 202 for an asynchronous call. Refused: told so by a status."
                .to_owned(),
        ],
        chart: chart(&all, calls),
    })
}

impl Measured {
    fn per_second(&self) -> f64 {
        self.milliseconds.count() as f64 / self.answers.seconds
    }

    fn row(&self) -> Vec<Value> {
        let quantiles = SHARES.map(|share| json!(self.milliseconds.quantile(share)));
        let lost = self.answers.lost + self.missing;
        [json!(self.name), json!(self.milliseconds.count())]
            .into_iter()
            .chain(quantiles)
            .chain([json!(self.per_second()), json!(self.answers.refused), json!(lost), json!(self.doubled)])
            .collect()
    }
}

/// A stack of two functions: one that answers at once, and one that does so as soon as there is a file `begin`.
fn write_stack(folder: &Path, begin: &Path) -> Result<String> {
    let function = |name: &str, environment: &str| {
        format!(
            "  {name}:\n    lang: rust-sgd\n    handler: ./{name}\n    image: {IMAGE}:latest\n    labels:\n      \
             com.openfaas.scale.min: \"{REPLICAS}\"\n    environment:\n      write_timeout: 60s\n      \
             exec_timeout: 60s\n{environment}"
        )
    };
    let waits = format!("      begin_when: {}\n", begin.display());
    let text = format!(
        "version: 1.0\nprovider:\n  name: openfaas\nfunctions:\n{}{}",
        function(NOOP, ""),
        function(HELD, &waits)
    );
    let path = folder.join("stack.yml");
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    path.into_os_string().into_string().ok().context("the temporary folder's name is not UTF-8")
}

fn synchronous(platform: &Platform, calls: usize) -> Result<Measured> {
    let load = load(platform.gateway(), "/function/noop", calls, String::new(), true);
    let answers = killing(platform, NOOP, calls, &AtomicUsize::new(0), |answered| load.run(answered))?;
    let milliseconds = Samples::new(answers.milliseconds.clone());
    Ok(Measured { name: "synchronous", answers, milliseconds, missing: 0, doubled: 0 })
}

/// And the gateway's largest resident set, all calls having waited at the same time.
fn asynchronous(platform: &Platform, calls: usize, begin: &Path) -> Result<(Measured, f64)> {
    let callbacks = Callbacks::listen()?;
    let headers = format!("X-Callback-Url: {}\r\n", callbacks.url);
    let load = load(platform.gateway(), "/async-function/held", calls, headers, false);
    let answers = load.run(&AtomicUsize::new(0))?;
    let accepted = answers.accepted.len();
    let done = AtomicUsize::new(0);
    killing(platform, HELD, calls, &done, |done| {
        fs::write(begin, "").context("letting the calls go on")?;
        let deadline = Instant::now() + PATIENCE;
        while callbacks.received().len() < accepted && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
            done.store(callbacks.received().len(), Ordering::Relaxed);
        }
        Ok(())
    })?;
    let received = callbacks.received();
    let missing = answers.accepted.iter().filter(|call| !received.contains_key(call)).count();
    let doubled = received.values().filter(|times| **times > 1).count();
    let milliseconds = Samples::new(answers.milliseconds.clone());
    let measured = Measured { name: "asynchronous", answers, milliseconds, missing, doubled };
    Ok((measured, platform.peak_memory_mib()?))
}

fn load<'a>(authority: &'a str, path: &'a str, calls: usize, headers: String, echoes: bool) -> Load<'a> {
    Load { authority, path, headers, connections: CONNECTIONS, calls, echoes }
}

/// Does something that counts calls, and on the way kills as many replicas as there are at the beginning, one after
/// the other.
fn killing<T>(
    platform: &Platform,
    function: &str,
    calls: usize,
    answered: &AtomicUsize,
    work: impl FnOnce(&AtomicUsize) -> Result<T>,
) -> Result<T> {
    let over = AtomicUsize::new(0);
    thread::scope(|scope| {
        let killer = scope.spawn(|| -> Result<()> {
            for victim in 1..=REPLICAS {
                while answered.load(Ordering::Relaxed) < victim * calls / (REPLICAS + 1) {
                    if over.load(Ordering::Relaxed) > 0 {
                        bail!("all was over before {REPLICAS} replicas were killed");
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                platform.replicas(function)?.first().context("no replica is left to kill")?.kill()?;
            }
            Ok(())
        });
        let result = work(answered);
        over.store(1, Ordering::Relaxed);
        killer.join().ok().context("the killer panicked")??;
        result
    })
}

fn await_replicas(platform: &Platform, function: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = http::get(platform.gateway(), &format!("/system/function/{function}"))?;
        let found: Value = serde_json::from_str(&found).context("what the gateway says of a function")?;
        if found["availableReplicas"].as_u64() == Some(REPLICAS as u64) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{function} does not come up: {found}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn chart(all: &[Measured; 2], calls: usize) -> Chart {
    let points = |measured: &Measured| {
        let point = |percent: u32| {
            let y = measured.milliseconds.quantile(f64::from(percent) / 100.0);
            Point { x: f64::from(percent), y, deviation: 0.0 }
        };
        [50, 75, 90, 95, 99].map(point).to_vec()
    };
    let line = |measured: &Measured| Line { name: measured.name.to_owned(), points: points(measured) };
    Chart {
        title: "Calls of a function that does nothing".to_owned(),
        subtitle: format!(
            "{calls} each over {CONNECTIONS} connections; {REPLICAS} of {REPLICAS} replicas killed"
        ),
        x: Axis::new("Percentile", Scale::Linear),
        y: Axis { from_zero: true, ..Axis::new("Time to the answer (ms)", Scale::Linear) },
        measured: Lines {
            heading: "Call".to_owned(),
            lines: all.iter().map(line).collect(),
            ..Lines::default()
        },
        compared: Lines::default(),
    }
}
