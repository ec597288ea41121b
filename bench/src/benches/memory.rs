//! What an invocation and a minibatch ask of the allocator and of the kernel, by allocator: the system's, which
//! functions have as processes of this machine, and mimalloc, which they have in images.

use anyhow::Result;
use figures::chart::{Axis, Chart, Line, Lines, Point, Scale};
use local_redis::Transport;
use serde_json::json;

use crate::context::Context;
use crate::invocations::{self, Measured};
use crate::redis::Server;
use crate::report::Report;
use crate::sampling::Samples;

const ALLOCATORS: [&str; 2] = ["system", "mimalloc"];
const KINDS: [&str; 3] = ["first invocation", "later invocation", "minibatch"];

/// Measures.
pub(crate) fn run(context: &Context) -> Result<Report> {
    let server = Server::start(Transport::UnixSocket, true)?;
    let (rounds, count) = (context.effort(5, 1), context.effort(5, 1));
    let mut measured = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (allocator, measured) in ALLOCATORS.iter().zip(&mut measured) {
            measured.push(invocations::with_allocator(context, allocator, server.url(), count)?);
        }
    }
    let median = |allocator: usize, of: &dyn Fn(&Measured) -> f64| {
        Samples::new(measured[allocator].iter().map(of).collect()).median()
    };
    let (mut rows, mut lines) = (Vec::new(), Vec::new());
    for (place, allocator) in ALLOCATORS.into_iter().enumerate() {
        let mut points = Vec::new();
        for (x, kind) in KINDS.into_iter().enumerate() {
            let of = |measured: &Measured| [measured.first, measured.later, measured.minibatch][x];
            let ms = median(place, &|measured| of(measured).ms);
            let allocations = median(place, &|measured| of(measured).allocations);
            let faults = median(place, &|measured| of(measured).page_faults);
            rows.push(vec![json!(allocator), json!(kind), json!(ms), json!(allocations), json!(faults)]);
            points.push(Point { x: x as f64, y: faults, deviation: 0.0 });
        }
        lines.push(Line { name: allocator.to_owned(), points });
    }
    let own = |place| median(place, &|measured| measured.own_mib);
    Ok(Report {
        columns: vec!["allocator", "of a", "ms", "allocations", "page faults"],
        rows,
        figures: vec![
            ("memory.minibatch_allocations", median(0, &|measured| measured.minibatch.allocations)),
            ("memory.minibatch_page_faults", median(0, &|measured| measured.minibatch.page_faults)),
            ("memory.invocation_page_faults_system", median(0, &|measured| measured.later.page_faults)),
            ("memory.invocation_page_faults_mimalloc", median(1, &|measured| measured.later.page_faults)),
            ("memory.own_mib_system", own(0)),
            ("memory.own_mib_mimalloc", own(1)),
        ],
        notes: vec![format!(
            "Medians of {rounds} processes. An invocation is a worker's claim, one epoch and its end, pushes and \
             fetches included; a minibatch is what one more of them costs. Own memory in the end: {:.1} MiB with \
             the system's allocator, {:.1} MiB with mimalloc.",
            own(0),
            own(1)
        )],
        chart: Chart {
            title: "Page faults by allocator".to_owned(),
            subtitle: format!("0: first invocation, 1: a later one, 2: a minibatch; median of {rounds}"),
            x: Axis::new("Of what", Scale::Linear),
            y: Axis { from_zero: true, ..Axis::new("Page faults", Scale::Linear) },
            measured: Lines { heading: "Measured".to_owned(), lines, ..Lines::default() },
            compared: Lines::default(),
        },
    })
}
