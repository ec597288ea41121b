//! What a Redis on each node (`database=local`) costs and spares against one for all (`global`): runs to 80 %
//! by three workers on three virtual nodes, which take turns on one local platform.

use std::cell::RefCell;

use anyhow::Result;
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use serde_json::{Value, json};

use crate::context::Context;
use crate::platform::Platform;
use crate::report::Report;
use crate::sampling::{Contestant, Samples, take_turns};

const DATABASES: [&str; 2] = ["global", "local"];
const TARGET: &str = "0.8";
const COLUMNS: [&str; 5] = ["train_s", "± s", "bytes_to_global", "test_accuracy", "samples"];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let platform = Platform::start(context, &["--nodes", "3"])?;
    let target = context.effort(TARGET, "0.2");
    let reports: [RefCell<Vec<Value>>; 2] = Default::default();
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for (database, reports) in DATABASES.iter().zip(&reports) {
        let platform = &platform;
        contestants.push(Box::new(move || {
            let flags = ["--database", database, "--workers", "3", "--target-accuracy", target];
            let report = platform.train(flags)?;
            let seconds = report["train_s"].as_f64().unwrap_or(f64::NAN);
            reports.borrow_mut().push(report);
            Ok(seconds)
        }));
    }
    let rounds = context.effort(9, 1);
    let seconds = take_turns(rounds, &mut contestants)?;
    drop(contestants);
    let median = |database: usize, field: &str| {
        let reports = reports[database].borrow();
        // The first round warms up.
        Samples::new(reports.iter().skip(1).filter_map(|report| report[field].as_f64()).collect()).median()
    };
    let row = |database: usize| {
        let mut row = vec![json!(DATABASES[database]), json!(seconds[database].median())];
        row.push(json!(seconds[database].spread()));
        row.extend(COLUMNS[2..].iter().map(|field| json!(median(database, field))));
        row
    };
    let points = |database: usize| {
        let samples = &seconds[database];
        vec![Point { x: database as f64, y: samples.median(), deviation: samples.spread() }]
    };
    let line = |database: usize| Line { name: DATABASES[database].to_owned(), points: points(database) };
    Ok(Report {
        columns: [["database"].as_slice(), &COLUMNS].concat(),
        rows: (0..2).map(row).collect(),
        figures: vec![
            ("databases.time", seconds[1].median() / seconds[0].median()),
            ("databases.bytes", median(1, "bytes_to_global") / median(0, "bytes_to_global")),
            ("databases.accuracy", (median(1, "test_accuracy") - median(0, "test_accuracy")).abs()),
        ],
        notes: vec![format!("Medians of {rounds}; three workers on three nodes, to {target} test accuracy.")],
        chart: Chart {
            title: "A Redis on each node against one for all".to_owned(),
            subtitle: format!("Time to {target} test accuracy, three workers; median of {rounds}"),
            x: Axis::new("Database: 0 global, 1 local", Scale::Linear),
            y: Axis { from_zero: true, ..Axis::new("Time (s)", Scale::Linear) },
            measured: Lines {
                heading: "Database".to_owned(),
                lines: (0..2).map(line).collect(),
                ..Lines::default()
            },
            compared: Lines::default(),
        },
    })
}
