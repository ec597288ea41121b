//! Time to 75 % test accuracy on the same data with the same network: `downpour train --workers 2`, all that it does
//! once the platform is up, against the bare training loops of peers in Python (`bench/peers`), whose start and
//! loading do not count. All take turns; the original's algorithm, which takes minutes, runs once a batch size.

mod python;

use std::cell::RefCell;

use anyhow::{Error, Result};
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use serde_json::{Value, json};

use self::python::Interpreters;
use crate::context::Context;
use crate::platform::Platform;
use crate::report::Report;
use crate::sampling::{Contestant, Samples, take_turns};

const OURS: &str = "Downpour, 2 workers";
/// Ours: name and flags, as they come and at the best settings that were found, since peers are tuned, too.
const RUNS: [(&str, &[&str]); 3] = [
    (OURS, &[]),
    (
        "Downpour, 2 workers, batch 64, rate 1, nFetch = nPush = 20",
        &["--batch-size", "64", "--learning-rate", "1", "--n-fetch", "20", "--n-push", "20"],
    ),
    (
        "Downpour, 2 workers, topk, rate 0.5, nFetch = nPush = 20",
        &["--codec", "topk", "--learning-rate", "0.5", "--n-fetch", "20", "--n-push", "20"],
    ),
];
/// Name, script and flags, where those are not the script's defaults: the best settings that were found.
const LOOPS: [(&str, &str, &[&str]); 5] = [
    ("NumPy, 1 process", "numpy_loop.py", &[]),
    ("NumPy, 2 processes", "numpy_loop.py", &["--processes", "2", "--batch", "64", "--rate", "0.7"]),
    ("PyTorch, 1 process", "pytorch_loop.py", &["--how", "one"]),
    ("PyTorch, DDP, 2 processes", "pytorch_loop.py", &["--how", "ddp"]),
    ("PyTorch, Hogwild, 2 processes", "pytorch_loop.py", &["--how", "hogwild"]),
];
/// The original's fastest batch size, and the one that Downpour trains with here.
const ORIGINAL: [(&str, &str); 2] = [("the original, batch 16", "16"), ("the original, batch 32", "32")];
const COLUMNS: [&str; 6] = ["what", "s", "± s", "samples", "accuracy", "versions"];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let platform = Platform::start(context, &[])?;
    let interpreters = Interpreters::find(context);
    let target = context.effort("0.75", "0.3");
    // Importing PyTorch alone takes as long as a quick run may.
    let loops = &LOOPS[..context.effort(LOOPS.len(), 1)];
    let runs = RUNS.iter().map(|(name, _)| Peer::new(name));
    let peers: Vec<_> = runs.chain(loops.iter().map(|(name, ..)| Peer::new(name))).collect();
    let (own, others) = peers.split_at(RUNS.len());
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for ((_, flags), peer) in RUNS.iter().zip(own) {
        let flags = [*flags, &["--workers", "2", "--target-accuracy", target]].concat();
        let platform = &platform;
        contestants.push(Box::new(move || Ok(peer.reached(ours(&platform.train(&flags)?)))));
    }
    for ((_, script, flags), peer) in loops.iter().zip(others) {
        let flags = [*flags, &["--target", target]].concat();
        let interpreters = &interpreters;
        contestants.push(Box::new(move || Ok(peer.turn(|| interpreters.run(context, script, &flags)))));
    }
    let rounds = context.effort(7, 1);
    let seconds = take_turns(rounds, &mut contestants)?;
    drop(contestants);
    let mut measured: Vec<_> = peers.into_iter().zip(seconds).collect();
    if context.effort(true, false) {
        measured.extend(originals(context, &interpreters, platform.store_url()));
    }
    Ok(report(rounds, target, &measured))
}

/// What a peer's script prints, of ours.
fn ours(report: &Value) -> Value {
    let (seconds, samples) = (&report["wall_s"], &report["samples"]);
    json!({"seconds": seconds, "samples": samples, "accuracy": report["test_accuracy"]})
}

/// The original's algorithm, once with each batch size.
fn originals<'a>(
    context: &'a Context,
    interpreters: &'a Interpreters,
    store: &'a str,
) -> impl Iterator<Item = (Peer, Samples)> + 'a {
    let store = store.replace("redis+unix:", "unix:");
    ORIGINAL.iter().map(move |(name, batch)| {
        context.say(&format!("{name}: takes a minute or two"));
        let peer = Peer::new(name);
        let flags = ["--store", &store, "--batch", batch];
        let seconds = peer.turn(|| interpreters.run(context, "original.py", &flags));
        (peer, Samples::new(vec![seconds]))
    })
}

/// Somebody who trains to the target.
struct Peer {
    name: &'static str,
    /// What it said the last time.
    said: RefCell<Value>,
    /// Why it can't be measured.
    failure: RefCell<Option<Error>>,
}

impl Peer {
    fn new(name: &'static str) -> Self {
        Self { name, said: RefCell::default(), failure: RefCell::default() }
    }

    /// The seconds that it took; not a number once it failed, which others need not suffer from.
    fn turn(&self, run: impl FnOnce() -> Result<Value>) -> f64 {
        if self.failure.borrow().is_some() {
            return f64::NAN;
        }
        match run() {
            Ok(said) => self.reached(said),
            Err(error) => {
                *self.failure.borrow_mut() = Some(error);
                f64::NAN
            }
        }
    }

    fn reached(&self, said: Value) -> f64 {
        let seconds = said["seconds"].as_f64().unwrap_or(f64::NAN);
        *self.said.borrow_mut() = said;
        seconds
    }

    fn note(&self) -> Option<String> {
        if let Some(error) = &*self.failure.borrow() {
            return Some(format!("{} is left out: {error:#}", self.name));
        }
        let said = self.said.borrow();
        let (measured, epochs) = (said.get("measured_epochs")?, said.get("epochs")?);
        let seconds = said["measured_s"].as_f64().unwrap_or(f64::NAN);
        Some(format!(
            "{}: {measured} of {epochs} epochs measured ({seconds:.1} s), the others extrapolated.",
            self.name
        ))
    }

    fn row(&self, seconds: &Samples) -> Vec<Value> {
        let said = self.said.borrow();
        let versions = said["versions"].as_object().into_iter().flatten();
        let versions: Vec<_> =
            versions.map(|(name, version)| format!("{name} {}", version.as_str().unwrap_or("?"))).collect();
        let mut row = vec![json!(self.name), json!(seconds.median()), json!(seconds.spread())];
        row.extend([said["samples"].clone(), said["accuracy"].clone(), json!(versions.join(", "))]);
        row
    }
}

fn report(rounds: usize, target: &str, all: &[(Peer, Samples)]) -> Report {
    let mut notes = vec![format!(
        "Medians of {rounds} to {target} test accuracy. Downpour: wall_s, all from the invocation to the report, the \
         platform being up; the others: their training loops alone. Samples and accuracy are the last round's."
    )];
    notes.extend(all.iter().filter_map(|(peer, _)| peer.note()));
    let measured: Vec<_> = all.iter().filter(|(peer, _)| peer.failure.borrow().is_none()).collect();
    let fastest = |begin: &str| {
        let those = measured.iter().filter(|(peer, _)| peer.name.starts_with(begin));
        those.map(|(_, seconds)| seconds.median()).min_by(f64::total_cmp)
    };
    let ours = fastest(OURS).unwrap_or(f64::NAN);
    let figures = [
        ("peers.vs_numpy", "NumPy"),
        ("peers.vs_pytorch", "PyTorch"),
        ("peers.vs_original", ORIGINAL[1].0),
        ("peers.vs_original_batch_16", ORIGINAL[0].0),
    ];
    Report {
        columns: COLUMNS.to_vec(),
        rows: measured.iter().map(|(peer, seconds)| peer.row(seconds)).collect(),
        figures: figures.into_iter().filter_map(|(key, peer)| Some((key, ours / fastest(peer)?))).collect(),
        notes,
        chart: chart(rounds, target, &measured),
    }
}

fn chart(rounds: usize, target: &str, measured: &[&(Peer, Samples)]) -> Chart {
    let line = |(place, (peer, seconds)): (usize, &&(Peer, Samples))| {
        let point = Point { x: place as f64, y: seconds.median(), deviation: seconds.spread() };
        Line { name: peer.name.to_owned(), points: vec![point] }
    };
    Chart {
        title: format!("Time to {target} test accuracy"),
        subtitle: format!(
            "Downpour with all that it does, the others' training loops alone; median of {rounds}"
        ),
        x: Axis::new("In the order of the legend", Scale::Linear),
        y: Axis::new("Time (s)", Scale::Logarithmic),
        measured: Lines {
            heading: "Measured".to_owned(),
            lines: measured.iter().enumerate().map(line).collect(),
            ..Lines::default()
        },
        compared: Lines::default(),
    }
}
