//! What an invocation for each epoch (`train_type` 2) costs against one that runs to the end (3).

use anyhow::Result;
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use serde_json::json;

use crate::context::Context;
use crate::platform::Platform;
use crate::report::Report;
use crate::sampling::{Contestant, Samples, take_turns};

const TYPES: [&str; 2] = ["3", "2"];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let platform = Platform::start(context, &[])?;
    let (rounds, epochs) = (context.effort(7, 1), context.effort(20, 2));
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for train_type in TYPES {
        let platform = &platform;
        contestants.push(Box::new(move || {
            let report = platform.train(["--train-type", train_type, "--epochs", &epochs.to_string()])?;
            Ok(report["train_s"].as_f64().unwrap_or(f64::NAN))
        }));
    }
    let seconds = take_turns(rounds, &mut contestants)?;
    let extra = 1000.0 * (seconds[1].median() - seconds[0].median()) / f64::from(epochs);
    let point = |(x, samples): (usize, &Samples)| Point {
        x: 3.0 - x as f64,
        y: samples.median(),
        deviation: samples.spread(),
    };
    let points = seconds.iter().enumerate().rev().map(point).collect();
    let row = |(name, samples): (&&str, &Samples)| {
        vec![json!(name), json!(samples.median()), json!(samples.spread())]
    };
    Ok(Report {
        columns: vec!["train_type", "train_s", "± s"],
        rows: TYPES.iter().zip(&seconds).map(row).collect(),
        figures: vec![("train_types.extra_ms_per_epoch", extra)],
        notes: vec![format!("Medians of {rounds}; {epochs} epochs, two workers.")],
        chart: Chart {
            title: "An invocation for each epoch against one for all".to_owned(),
            subtitle: format!("{epochs} epochs by two workers; median of {rounds}"),
            x: Axis::new("train_type", Scale::Linear),
            y: Axis { from_zero: true, ..Axis::new("Time (s)", Scale::Linear) },
            measured: Lines {
                heading: "Measured".to_owned(),
                lines: vec![Line { name: "train_s".to_owned(), points }],
                ..Lines::default()
            },
            compared: Lines::default(),
        },
    })
}
