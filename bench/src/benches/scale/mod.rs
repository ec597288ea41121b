//! How far workers can share one Redis: two real ones against one, and 2 to 64 that only sleep.

mod cost;
mod simulated;

use anyhow::Result;
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use serde_json::{Value, json};

use self::cost::Cost;
use self::simulated::Outcome;
use crate::context::Context;
use crate::platform::Platform;
use crate::report::Report;
use crate::sampling::{Contestant, Samples, take_turns};

const WORKERS: [u32; 6] = [2, 4, 8, 16, 32, 64];
/// Minibatches of a worker in an epoch, which ends with a push as f32: about what EMNIST ByMerge has for each of
/// 64 workers in minibatches of 32.
const EPOCH: u32 = 300;
const COLUMNS: [&str; 7] = [
    "workers",
    "share of ideal",
    "±",
    "CPUs of Redis",
    "CPUs of workers",
    "MB/s into Redis",
    "MB/s out of Redis",
];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let (rounds, epochs, minibatches) = context.effort((3, 2, EPOCH), (1, 1, 50));
    let mut outcomes: [Vec<Outcome>; 6] = Default::default();
    for round in 0..rounds {
        for (workers, outcomes) in WORKERS.iter().zip(&mut outcomes) {
            context.say(&format!("round {}: {workers} simulated workers", round + 1));
            outcomes.push(simulated::run(*workers, epochs, minibatches)?);
        }
    }
    context.say("two workers against one");
    let real = two_against_one(context)?;
    let shares: Vec<_> = outcomes.iter().map(|outcomes| share(outcomes)).collect();
    let cpus: Vec<_> = outcomes.iter().map(|outcomes| costs(outcomes, |cost| cost.redis_cpus)).collect();
    let all = shares.last().map_or(f64::NAN, Samples::median);
    Ok(Report {
        columns: COLUMNS.to_vec(),
        rows: WORKERS.iter().zip(&outcomes).map(|(workers, outcomes)| row(*workers, outcomes)).collect(),
        figures: vec![("scale.two_workers", real), ("scale.workers_64", all)],
        notes: vec![
            format!(
                "Medians of {rounds}; a simulated worker sleeps {:?} for a minibatch.",
                simulated::MINIBATCH
            ),
            "nFetch = nPush = 10; 83,247 parameters, all of which move between two pushes; AOF everysec."
                .to_owned(),
        ],
        chart: Chart {
            title: "Workers on one Redis".to_owned(),
            subtitle: "Minibatches a second by simulated workers, as a share of those without a store; and what Redis needs"
                .to_owned(),
            x: Axis::new("Workers", Scale::Logarithmic),
            y: Axis { from_zero: true, ..Axis::new("Share", Scale::Linear) },
            measured: Lines {
                heading: "Measured".to_owned(),
                lines: vec![line("share of ideal", &shares), line("Redis, of a CPU", &cpus)],
                ..Lines::default()
            },
            compared: Lines::default(),
        },
    })
}

fn share(outcomes: &[Outcome]) -> Samples {
    Samples::new(outcomes.iter().map(|outcome| outcome.share).collect())
}

fn costs(outcomes: &[Outcome], cost: fn(&Cost) -> f64) -> Samples {
    Samples::new(outcomes.iter().map(|outcome| cost(&outcome.cost)).collect())
}

fn line(name: &str, samples: &[Samples]) -> Line {
    let point = |(workers, samples): (&u32, &Samples)| Point {
        x: f64::from(*workers),
        y: samples.median(),
        deviation: samples.spread(),
    };
    Line { name: name.to_owned(), points: WORKERS.iter().zip(samples).map(point).collect() }
}

fn row(workers: u32, outcomes: &[Outcome]) -> Vec<Value> {
    let share = share(outcomes);
    let cost = |cost: fn(&Cost) -> f64| json!(costs(outcomes, cost).median());
    vec![
        json!(workers),
        json!(share.median()),
        json!(share.spread()),
        cost(|cost| cost.redis_cpus),
        cost(|cost| cost.worker_cpus),
        cost(|cost| cost.received),
        cost(|cost| cost.sent),
    ]
}

/// Samples a second by two workers, over those by one.
fn two_against_one(context: &Context) -> Result<f64> {
    let platform = Platform::start(context, &[])?;
    let (rounds, epochs) = (context.effort(5, 1), context.effort("8", "1"));
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for workers in ["1", "2"] {
        let platform = &platform;
        contestants.push(Box::new(move || {
            let report =
                platform.train(["--workers", workers, "--epochs", epochs, "--target-accuracy", "none"])?;
            Ok(report["samples_per_s"].as_f64().unwrap_or(f64::NAN))
        }));
    }
    let speed = take_turns(rounds, &mut contestants)?;
    Ok(speed[1].median() / speed[0].median())
}
