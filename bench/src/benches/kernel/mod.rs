//! A training step against the dense products alone that it would take: all that a worker computes for a
//! minibatch, from fetching its images in the epoch's order to changing the parameters, against matrix products
//! of the same shapes by the crates that do them, on operands that lie ready.
//!
//! | file | what it is for |
//! |---|---|
//! | `shape` | what is varied: the minibatch and the network |
//! | `ours` | what a worker does with each minibatch |
//! | `bare` | the dense products of a step alone, by each crate |
//! | `peak` | how fast one core can multiply and add |
//! | `contest` | one shape's times, all contestants in turns |

mod bare;
mod contest;
mod ours;
mod peak;
mod shape;

use anyhow::{Result, ensure};
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use serde_json::{Value, json};

use self::contest::{Effort, Times};
use self::ours::{Data, Ours};
use self::shape::Shape;
use crate::context::Context;
use crate::memory::{Of, allocations, page_faults};
use crate::report::Report;

const BATCHES: [usize; 7] = [16, 32, 64, 128, 256, 512, 1024];
const WIDTHS: [usize; 8] = [32, 64, 100, 128, 256, 512, 1024, 2048];
/// The bars are about this network, at these sizes of minibatches.
const WIDTH: usize = 100;
const MAIN_BATCHES: [usize; 2] = [32, 128];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let data = Data::read(context)?;
    let effort = context.effort(Effort { rounds: 61, seconds: 0.004 }, Effort { rounds: 3, seconds: 0.001 });
    let bars = MAIN_BATCHES.map(|batch| Shape { batch, width: WIDTH, depth: 1 });
    let mut times = measure(context, &data, &bars, effort)?;
    let figures = [figures(&times), memory(&data)?].concat();
    let bar_rounds = effort.rounds;
    let effort = context.effort(Effort { rounds: 7, ..effort }, effort);
    times.extend(measure(context, &data, &context.effort(sweep(), Vec::new()), effort)?);
    let (name, zeros) = data.name();
    Ok(Report {
        columns: COLUMNS.to_vec(),
        rows: times.iter().map(row).collect(),
        notes: vec![
            format!(
                "Times in µs of processor time; medians of {bar_rounds} turns (bars) and {} (others); {name}, of whose \
                 pixels {:.0} % are zero, and the same data without zeros; 784 inputs, 47 classes, dropout, SGD.",
                effort.rounds,
                100.0 * zeros
            ),
            "GFLOP/s counts what dense products would take; peak: a loop of multiply-adds beside it."
                .to_owned(),
        ],
        chart: chart(&times, name),
        figures,
    })
}

/// All else that is varied.
fn sweep() -> Vec<Shape> {
    let batches_and_widths = BATCHES.into_iter().flat_map(|batch| WIDTHS.map(|width| (batch, width, 1)));
    let depths = [2, 3].into_iter().flat_map(|depth| {
        MAIN_BATCHES.into_iter().flat_map(move |batch| [WIDTH, 512].map(|width| (batch, width, depth)))
    });
    let shapes = batches_and_widths.chain(depths).map(|(batch, width, depth)| Shape { batch, width, depth });
    shapes.collect()
}

fn measure(context: &Context, data: &Data, shapes: &[Shape], effort: Effort) -> Result<Vec<Times>> {
    let tell = |shape: &Shape| {
        context.say(&format!("  minibatches of {}, {} × {}", shape.batch, shape.depth, shape.width));
        Times::measure(data, *shape, effort)
    };
    shapes.iter().map(tell).collect()
}

/// What the bars are about: the worse of the minibatches' sizes.
fn figures(bars: &[Times]) -> Vec<(&'static str, f64)> {
    let worst = |ratio: fn(&Times) -> f64| bars.iter().map(ratio).fold(f64::INFINITY, f64::min);
    vec![
        ("kernel.emnist_vs_matrixmultiply", worst(|times| times.bare[0].median() / times.sparse.median())),
        ("kernel.emnist_vs_fastest_gemm", worst(Times::sparse_gain)),
        ("kernel.dense_vs_gemm", worst(Times::dense_gain)),
        ("kernel.share_of_peak", worst(|times| times.rate() / times.peak.median())),
    ]
}

/// Allocations and page faults of a minibatch, once everything has been touched.
fn memory(data: &Data) -> Result<Vec<(&'static str, f64)>> {
    let mut found = Vec::new();
    let mut worst = (0.0, 0.0);
    for split in [data.with_zeros(), data.without_zeros()] {
        let mut ours = Ours::new(split, Shape { batch: MAIN_BATCHES[0], width: WIDTH, depth: 1 })?;
        let steps = split.len() / MAIN_BATCHES[0];
        (0..steps).for_each(|_| ours.step());
        let (allocated, faults) = (allocations(), page_faults(Of::Thread)?);
        // Reading the count of faults allocates.
        let reading = allocations() - allocated;
        let allocated = allocations();
        (0..steps).for_each(|_| ours.step());
        ensure!(reading > 0, "allocations are not counted");
        let allocated = (allocations() - allocated) as f64 / steps as f64;
        let faults = (page_faults(Of::Thread)? - faults) as f64 / steps as f64;
        worst = (f64::max(worst.0, allocated), f64::max(worst.1, faults));
    }
    found.extend([("kernel.allocations", worst.0), ("kernel.page_faults", worst.1)]);
    Ok(found)
}

const COLUMNS: [&str; 12] = [
    "batch",
    "hidden",
    "with zeros",
    "± µs",
    "without",
    "matrixmultiply",
    "gemm",
    "faer",
    "GFLOP/s",
    "of peak",
    "gain with zeros",
    "without",
];

fn row(times: &Times) -> Vec<Value> {
    let micros = |seconds: f64| json!(1e6 * seconds);
    let mut row =
        vec![json!(times.shape.batch), json!(format!("{} × {}", times.shape.depth, times.shape.width))];
    row.extend([micros(times.sparse.median()), micros(times.sparse.spread()), micros(times.dense.median())]);
    row.extend(times.bare.iter().map(|samples| micros(samples.median())));
    row.extend([json!(1e-9 * times.rate()), json!(times.rate() / times.peak.median())]);
    row.extend([json!(times.sparse_gain()), json!(times.dense_gain())]);
    row
}

/// The gain by minibatch, a line by width; dashed on data without zeros.
fn chart(times: &[Times], name: &str) -> Chart {
    let line = |width: usize, gain: fn(&Times) -> f64| {
        let of_width = |times: &&Times| times.shape.width == width && times.shape.depth == 1;
        let mut points: Vec<_> = times
            .iter()
            .filter(of_width)
            .map(|times| Point { x: times.shape.batch as f64, y: gain(times), deviation: 0.0 })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        points.dedup_by_key(|point| point.x as usize);
        Line { name: format!("width {width}"), points }
    };
    let lines = |heading: String, gain: fn(&Times) -> f64| Lines {
        heading,
        lines: [32, WIDTH, 256, 512, 2048].map(|width| line(width, gain)).to_vec(),
        ..Lines::default()
    };
    Chart {
        title: "A training step against its dense products alone".to_owned(),
        subtitle: "The fastest crate's time for the products over ours for the step; one hidden layer"
            .to_owned(),
        x: Axis::new("Minibatch", Scale::Logarithmic),
        y: Axis { from_zero: true, reference: Some(1.0), ..Axis::new("Times as fast", Scale::Linear) },
        measured: lines(name.to_owned(), Times::sparse_gain),
        compared: lines("Without zeros".to_owned(), Times::dense_gain),
    }
}
