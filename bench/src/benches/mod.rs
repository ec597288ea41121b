//! The benchmarks.

mod databases;
mod kernel;
mod train_types;

use anyhow::Result;

use crate::context::Context;
use crate::report::Report;

/// A benchmark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bench {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What it measures, in a line.
    pub(crate) about: &'static str,
    /// Measures.
    pub(crate) run: fn(&Context) -> Result<Report>,
}

/// Every benchmark, in the order in which all of them run.
pub(crate) const ALL: &[Bench] = &[
    Bench {
        name: "kernel",
        about: "a training step against the dense products alone that it would take",
        run: kernel::run,
    },
    Bench {
        name: "databases",
        about: "a Redis on each of three nodes against one for all, to 80 %",
        run: databases::run,
    },
    Bench {
        name: "train-types",
        about: "an invocation for each epoch against one that runs to the end",
        run: train_types::run,
    },
];

/// The benchmark of that name.
pub(crate) fn find(name: &str) -> Result<&'static Bench, String> {
    let names = || ALL.iter().map(|bench| bench.name).collect::<Vec<_>>().join(", ");
    ALL.iter().find(|bench| bench.name == name).ok_or_else(|| format!("there are {}", names()))
}
