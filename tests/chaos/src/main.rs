//! Chaos: runs that are disturbed in every way that a seed can think of, and what must be true of each afterwards.
//!
//! A seed decides what is trained (`variant`) and what goes wrong on the way (`schedule`); when exactly is up to
//! real processes, a real Redis and a real network. Then the log is checked by itself (`audit`): each push counts
//! once, each minibatch of each epoch counts once, and the model is what they add up to. The accuracy must be that
//! of the same training undisturbed, and no process, key or temporary file may be left over.
//!
//! `make chaos` goes through `RUNS` runs, of the seed `SEED` and those that follow. It says on stderr what became of
//! each, and prints one JSON line; it fails where one run did.
//!
//! | file | what it is about |
//! |---|---|
//! | `variant` | the ways of training |
//! | `schedule` | what a seed decides |
//! | `proxy` | a network that fails |
//! | `stage` | Redis, network and platform, each of which can be made to fail |
//! | `watch` | a run as it goes on |
//! | `keeper` | who brings a run back that everybody has left |
//! | `ordeal` | one run, from its beginning to the checks |
//! | `evidence` | everything that a Redis ever accepted |
//! | `audit` | whether a log counts everything once |
//! | `leftovers` | what may be left after a run |
//! | `suite` | run after run, and what is said of each |
#![expect(
    clippy::expect_used,
    reason = "a test: it stops at the first surprise, and the suite says which run that was"
)]

mod audit;
mod evidence;
mod keeper;
mod leftovers;
mod ordeal;
mod proxy;
mod schedule;
mod stage;
mod suite;
mod variant;
mod watch;

use std::env;
use std::process::ExitCode;

use suite::Suite;

/// Without `RUNS`.
const RUNS: u64 = 20;
/// Without `SEED`.
const SEED: u64 = 1;

fn main() -> ExitCode {
    let (runs, seed) = match (number("RUNS", RUNS), number("SEED", SEED)) {
        (Ok(runs), Ok(seed)) => (runs, seed),
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let summary = Suite::run(runs, seed);
    println!("{}", summary.json());
    ExitCode::from(u8::from(summary.failed_runs > 0))
}

/// The number in a variable; an empty one counts as none.
fn number(variable: &str, default: u64) -> Result<u64, String> {
    match env::var(variable) {
        Ok(text) if !text.is_empty() => {
            text.parse().map_err(|_| format!("{variable} is {text:?}; wanted is a whole number"))
        }
        _ => Ok(default),
    }
}
