//! What an invocation of a train function asks of the allocator: a worker from its claim to its last push, on a
//! real Redis, again and again in one process. There is a program for each allocator (`src/bin`); what it measured it
//! prints as JSON.

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::Parser;
use serde::{Deserialize, Serialize};
use sgd_lib::dataset::Dataset;
use sgd_lib::downpour::{Run, RunConfig};
use sgd_lib::store::RedisStore;

use crate::context::{self, Context};
use crate::crew::{self, Undisturbed};
use crate::memory::{Of, allocations, mebibytes, page_faults};
use crate::sampling::Samples;

/// Measures invocations with the allocator of this program.
#[derive(Debug, Parser)]
struct Args {
    /// The folder with the data set's files
    #[arg(long)]
    data_dir: PathBuf,
    /// The Redis
    #[arg(long)]
    store_url: String,
    /// How many invocations to take the median of
    #[arg(long)]
    invocations: usize,
}

/// What something asked for.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Cost {
    /// Milliseconds.
    pub(crate) ms: f64,
    /// Calls of the allocator that may take memory.
    pub(crate) allocations: f64,
    /// Pages that were missing.
    pub(crate) page_faults: f64,
}

/// What a program measured.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Measured {
    /// The first invocation of the process, one epoch.
    pub(crate) first: Cost,
    /// A later one, the same work.
    pub(crate) later: Cost,
    /// A minibatch more, its share of pushes and fetches included.
    pub(crate) minibatch: Cost,
    /// Memory of its own that the process has in the end, MiB.
    pub(crate) own_mib: f64,
}

/// The program.
pub fn main() -> ExitCode {
    crate::ended(measure(&Args::parse()))
}

fn measure(args: &Args) -> Result<()> {
    let data = context::prepare(&args.data_dir)?;
    let store = Arc::new(RedisStore::open(&args.store_url)?);
    let invoke = |epochs| invoke(&store, &data, epochs);
    let first = invoke(1)?;
    let short = median((0..args.invocations).map(|_| invoke(1)))?;
    let long = median((0..args.invocations).map(|_| invoke(3)))?;
    let more = 2.0 * (data.train().len() as f64 / f64::from(RunConfig::for_data(&data)?.batch_size)).ceil();
    let minibatch = short.zip(long, |short, long| (long - short) / more);
    let own_mib = mebibytes("self", "RssAnon")?;
    println!("{}", serde_json::to_string(&Measured { first, later: short, minibatch, own_mib })?);
    Ok(())
}

/// One invocation of one worker.
fn invoke(store: &Arc<RedisStore>, data: &Dataset, epochs: u32) -> Result<Cost> {
    let config = RunConfig { epochs, workers: 1, ..RunConfig::for_data(data)? };
    let run = Run::create(store.clone(), "invocations", config)?;
    run.store().fix_workers(run.keys(), 1)?;
    let before = (allocations(), page_faults(Of::Process)?);
    let begun = Instant::now();
    crew::work(&run, 0, (data.train(), data.test()), &Undisturbed, None)?;
    let cost = Cost {
        ms: 1000.0 * begun.elapsed().as_secs_f64(),
        allocations: (allocations() - before.0) as f64,
        page_faults: (page_faults(Of::Process)? - before.1) as f64,
    };
    run.delete()?;
    Ok(cost)
}

fn median(costs: impl Iterator<Item = Result<Cost>>) -> Result<Cost> {
    let costs = costs.collect::<Result<Vec<_>>>()?;
    let of = |what: fn(&Cost) -> f64| Samples::new(costs.iter().map(what).collect()).median();
    Ok(Cost { ms: of(|c| c.ms), allocations: of(|c| c.allocations), page_faults: of(|c| c.page_faults) })
}

impl Cost {
    fn zip(self, other: Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            ms: combine(self.ms, other.ms),
            allocations: combine(self.allocations, other.allocations),
            page_faults: combine(self.page_faults, other.page_faults),
        }
    }
}

/// Runs the program for an allocator, which is beside `downpour`, in a process of its own.
///
/// # Errors
/// It is not there, or fails.
pub(crate) fn with_allocator(
    context: &Context,
    allocator: &str,
    store_url: &str,
    invocations: usize,
) -> Result<Measured> {
    let program = context.downpour.with_file_name(format!("invocations-{allocator}"));
    let mut command = Command::new(&program);
    // As in images.
    command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    command.arg("--data-dir").arg(&context.data).args(["--store-url", store_url]);
    command.args(["--invocations", &invocations.to_string()]);
    let output = command.output().with_context(|| format!("running {}", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let failure = || format!("{}: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_str(&said).with_context(failure)
}
