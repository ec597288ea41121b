//! Measures Downpour. `downpour bench NAME` runs the program of this library, and so does `make bench`.
//!
//! Whatever is compared takes turns within one run of this program, so that both see the same machine, whose
//! speed changes from minute to minute; what is reported is a ratio of medians, with the spread beside it.
//!
//! | module | what it is for |
//! |---|---|
//! | `benches` | the benchmarks, one file each |
//! | `clock` | time that a thread has computed |
//! | `context` | what a benchmark is given: the data, the program, how thorough to be |
//! | `crew` | workers in threads of this process |
//! | `invocations` | what invocations ask of the allocator: a program for each allocator |
//! | `memory` | what this process asks of the allocator, and a thread of the kernel |
//! | `sampling` | turns, medians, spreads |
//! | `platform` | a local platform of the benchmark's own, to train on |
//! | `redis` | private servers to measure with |
//! | `replicas` | the processes of its functions |
//! | `http` | requests, each on a connection of its own |
//! | `report` | what was measured, as a table, as JSON and as a chart |
//! | `summary` | the figures of all benchmarks in one JSON object |

mod benches;
mod clock;
mod context;
mod crew;
mod http;
pub mod invocations;
pub mod memory;
mod platform;
mod redis;
mod replicas;
mod report;
mod sampling;
mod summary;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use self::benches::Bench;
use self::context::Context;

/// Measures Downpour: what is compared takes turns, so trust the ratios.
#[derive(Debug, Parser)]
#[command(name = "downpour bench", version)]
struct Args {
    /// What to measure; all, one after the other, if none is named
    #[arg(value_name = "NAME", value_parser = benches::find)]
    names: Vec<&'static Bench>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Once, and little of it: shows that it works, measures nothing
    #[arg(long)]
    quick: bool,
    /// The folder with the data set's files [default: EMNIST ByMerge or Fashion-MNIST, where they are found]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where results go: NAME.json, NAME.svg and, of all together, summary.json
    #[arg(long, value_name = "DIR", default_value = "bench/results")]
    results: PathBuf,
}

/// The program `downpour-bench`.
pub fn main() -> ExitCode {
    ended(run(&Args::parse()))
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let context = Context::new(args.data_dir.as_deref(), args.quick)?;
    let all: Vec<&Bench> = benches::ALL.iter().collect();
    let chosen = if args.names.is_empty() { &all } else { &args.names };
    for bench in chosen {
        context.say(&format!("{}: {}", bench.name, bench.about));
        let report = (bench.run)(&context)?;
        report.write(bench.name, &args.results)?;
        println!("{}", if args.json { report.json(bench.name).to_string() } else { report.text() });
    }
    let summary = summary::write(&args.results)?;
    if args.names.is_empty() {
        println!("{summary}");
    }
    Ok(())
}
