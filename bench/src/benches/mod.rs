//! The benchmarks.

mod convergence;
mod databases;
mod elastic;
mod faults;
mod gateway;
mod kernel;
mod memory;
mod overhead;
mod peers;
mod probes;
mod scale;
mod start;
mod store;
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
    Bench { name: "store", about: "a push and fetch against SET and GET of the same bytes", run: store::run },
    Bench {
        name: "overhead",
        about: "training with Redis against training without a store",
        run: overhead::run,
    },
    Bench {
        name: "convergence",
        about: "time, samples and bytes to an accuracy, by what may be varied",
        run: convergence::run,
    },
    Bench {
        name: "kernel",
        about: "a training step against the dense products alone that it would take",
        run: kernel::run,
    },
    Bench {
        name: "memory",
        about: "allocations and page faults of an invocation and of a minibatch, by allocator",
        run: memory::run,
    },
    Bench {
        name: "databases",
        about: "a Redis on each of three nodes against one for all, to 80 %",
        run: databases::run,
    },
    Bench {
        name: "scale",
        about: "two workers against one; 2 to 64 simulated workers on one Redis",
        run: scale::run,
    },
    Bench {
        name: "train-types",
        about: "an invocation for each epoch against one that runs to the end",
        run: train_types::run,
    },
    Bench {
        name: "start",
        about: "from invoking emnist-setup to the last worker's first minibatch",
        run: start::run,
    },
    Bench {
        name: "elastic",
        about: "from a scale call to a run with as many workers as there are replicas",
        run: elastic::run,
    },
    Bench {
        name: "probes",
        about: "how long the probes of replicas take that train on every core",
        run: probes::run,
    },
    Bench {
        name: "faults",
        about: "a run in which one of three workers, or Redis, is killed, against an undisturbed one",
        run: faults::run,
    },
    Bench {
        name: "gateway",
        about: "10,000 calls over 200 connections, synchronous and asynchronous, replicas killed on the way",
        run: gateway::run,
    },
    Bench {
        name: "peers",
        about: "time to 75 % against NumPy, PyTorch and the original's algorithm",
        run: peers::run,
    },
];

/// The benchmark of that name.
pub(crate) fn find(name: &str) -> Result<&'static Bench, String> {
    let names = || ALL.iter().map(|bench| bench.name).collect::<Vec<_>>().join(", ");
    ALL.iter().find(|bench| bench.name == name).ok_or_else(|| format!("there are {}", names()))
}
