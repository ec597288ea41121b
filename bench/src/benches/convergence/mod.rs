//! How long it takes to an accuracy, and how many samples and bytes: by workers, nFetch and nPush, codec,
//! optimizer and algorithm. Whole runs on one local platform, which take turns.
//!
//! When a run sees that it has reached its target depends on when it looks and on 1,000 test images, so single
//! runs differ by a fifth; what is reported are medians.

mod entrant;
mod straggler;

use anyhow::Result;
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use serde_json::{Value, json};

use self::entrant::{Entrant, Outcome, entrants};
use self::straggler::Straggler;
use crate::context::Context;
use crate::platform::Platform;
use crate::report::Report;
use crate::sampling::Samples;

/// Accuracies, and rounds to each.
const TARGETS: [(f64, usize); 3] = [(0.75, 5), (0.8, 2), (0.83, 1)];
/// How many more samples than the baseline a codec, and an algorithm, may need.
const CODEC_SAMPLES: f64 = 1.1;
const ALGORITHM_SAMPLES: f64 = 1.3;

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let targets: &[(f64, usize)] = context.effort(&TARGETS, &[(0.2, 1)]);
    let entrants = entrants();
    let all: Vec<usize> = (0..entrants.len()).collect();
    // What the figures need is all that has to be shown to work.
    let quick: Vec<usize> = all.iter().copied().filter(|index| entrants[*index].is_compared()).collect();
    let chosen = context.effort(all, quick);
    let races = race(context, &entrants, &chosen, targets)?;
    let straggler = Straggler::measure(context)?;
    // A single run to a low target says nothing of samples.
    let samples = context.effort(ALGORITHM_SAMPLES, f64::INFINITY);
    let first = &races[0];
    let mut figures = vec![
        (
            "convergence.codec_bytes",
            best(&entrants, first, |entrant| entrant.group == "codec", CODEC_SAMPLES),
        ),
        ("convergence.algorithm_bytes", best(&entrants, first, Entrant::steps_locally, samples)),
    ];
    figures.extend(straggler.figures());
    let rounds: Vec<String> =
        targets.iter().map(|(target, rounds)| format!("{rounds} to {target}")).collect();
    let mut notes = vec![
        format!("Medians of {}; without other words two workers, nFetch = nPush = 10, sgd, downpour, int8.", rounds.join(", ")),
        "bytes: of all pushes. The figures compare bytes to the first accuracy with those of downpour in f32, of whatever \
         needs at most 1.1 times (codecs) and 1.3 times (algorithms) its samples."
            .to_owned(),
    ];
    notes.extend(straggler.notes());
    let mut rows = Vec::new();
    for index in chosen {
        rows.extend(
            targets
                .iter()
                .zip(&races)
                .map(|((target, _), race)| row(&entrants[index], *target, &race[index])),
        );
    }
    Ok(Report {
        columns: vec!["varied", "setting", "accuracy", "train_s", "± s", "samples", "± samples", "bytes"],
        rows,
        figures,
        notes,
        chart: chart(&entrants, targets, &races),
    })
}

/// Lets all `chosen` run to each target. Returns the outcomes by target and entrant.
fn race(
    context: &Context,
    entrants: &[Entrant],
    chosen: &[usize],
    targets: &[(f64, usize)],
) -> Result<Vec<Vec<Vec<Outcome>>>> {
    let platform = Platform::start(context, &[])?;
    let mut races = Vec::new();
    // Replicas are up and have the data open when it begins.
    Entrant::default().run(&platform, targets[0].0)?;
    for &(target, rounds) in targets {
        let mut race = vec![Vec::new(); entrants.len()];
        for round in 0..rounds {
            context.say(&format!("to {target}, round {} of {rounds}", round + 1));
            let mut order = chosen.to_vec();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                race[index].push(entrants[index].run(&platform, target)?);
            }
        }
        races.push(race);
    }
    Ok(races)
}

fn median(outcomes: &[Outcome], figure: fn(&Outcome) -> f64) -> Samples {
    Samples::new(outcomes.iter().map(figure).collect())
}

/// The fewest bytes of all that `fits` and needs at most `samples` times the baseline's samples, over the
/// baseline's bytes.
fn best(entrants: &[Entrant], race: &[Vec<Outcome>], fits: impl Fn(&Entrant) -> bool, samples: f64) -> f64 {
    let medians = |outcomes: &Vec<Outcome>| {
        (
            median(outcomes, |outcome| outcome.samples).median(),
            median(outcomes, |outcome| outcome.bytes).median(),
        )
    };
    let baseline = entrants.iter().zip(race).find(|(entrant, _)| entrant.is_baseline());
    let Some((most, whole)) = baseline.map(|(_, outcomes)| medians(outcomes)) else { return f64::NAN };
    let fitting =
        entrants.iter().zip(race).filter(|(entrant, outcomes)| fits(entrant) && !outcomes.is_empty());
    let fitting =
        fitting.map(|(_, outcomes)| medians(outcomes)).filter(|(found, _)| *found <= samples * most);
    fitting.map(|(_, bytes)| bytes / whole).min_by(f64::total_cmp).unwrap_or(f64::NAN)
}

fn row(entrant: &Entrant, target: f64, outcomes: &[Outcome]) -> Vec<Value> {
    let seconds = median(outcomes, |outcome| outcome.seconds);
    let samples = median(outcomes, |outcome| outcome.samples);
    let bytes = median(outcomes, |outcome| outcome.bytes).median();
    // Infinite where the target was missed: no number in JSON.
    let shown = |value: f64| if value.is_finite() { json!(value) } else { json!("missed") };
    let whole = |value: f64| if value.is_finite() { json!(value.round() as u64) } else { json!("missed") };
    vec![
        json!(entrant.group),
        json!(entrant.name),
        json!(target),
        shown(seconds.median()),
        shown(seconds.spread()),
        whole(samples.median()),
        whole(samples.spread()),
        whole(bytes),
    ]
}

fn chart(entrants: &[Entrant], targets: &[(f64, usize)], races: &[Vec<Vec<Outcome>>]) -> Chart {
    let line = |(index, entrant): (usize, &Entrant)| {
        let point = |((target, _), race): (&(f64, usize), &Vec<Vec<Outcome>>)| {
            let bytes = median(&race[index], |outcome| outcome.bytes);
            let (y, deviation) = (bytes.median() / 1e6, bytes.spread() / 1e6);
            (y.is_finite() && deviation.is_finite()).then_some(Point { x: 100.0 * target, y, deviation })
        };
        Line { name: entrant.name.clone(), points: targets.iter().zip(races).filter_map(point).collect() }
    };
    let shown = |group: &'static str| Lines {
        heading: group.to_owned(),
        lines: entrants.iter().enumerate().filter(|(_, entrant)| entrant.group == group).map(line).collect(),
        ..Lines::default()
    };
    Chart {
        title: "Bytes pushed to an accuracy".to_owned(),
        subtitle: "Two workers; medians".to_owned(),
        x: Axis::new("Test accuracy (%)", Scale::Linear),
        y: Axis::new("Pushed (MB)", Scale::Logarithmic),
        measured: shown("algorithm"),
        compared: shown("codec"),
    }
}
