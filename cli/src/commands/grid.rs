//! `downpour grid`: the batch experiments.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::args::Global;
use crate::grid::output::{self as pages, Setting};
use crate::grid::overlay;
use crate::grid::plan::{self, Axis, Configuration};
use crate::grid::results::{Outcome, Record, Results};
use crate::grid::round::round;
use crate::grid::site::{Given, Site};
use crate::grid::summary::Summary;
use crate::local::signals::{EndSignals, Interrupted};
use crate::remote::access::AccessArgs;
use crate::render::output;

/// Run the batch experiments: some rounds of each configuration, into a folder of results
///
/// A round deploys the functions, scales them, waits until they are ready, invokes emnist-setup, waits for
/// the run's end, and undeploys. The functions of these names on the gateway are replaced and removed!
/// Rounds that are finished stay in the results folder; the same command again, after an interruption or a
/// failure, makes only those that are missing. A configuration that has changed is run anew.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Stack files, one a configuration [default: tests/emnist*.yml, else the built-in ones]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Rounds of each configuration; each has its number as its seed
    #[arg(long, env = "ROUNDS", value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Vary a further setting; given several times, the values are combined
    #[arg(long = "set", value_name = "KEY=VALUE,…")]
    axes: Vec<Axis>,
    /// The folder for output.txt, results.md, results.csv and the plots
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Run finished rounds again
    #[arg(long)]
    fresh: bool,
    /// The gateway [default: a local platform, for the grid alone]
    #[arg(long, value_name = "URL", env = "OPENFAAS_URL")]
    gateway: Option<String>,
    /// The Redis as seen from here [default: as functions see it; the local platform's own]
    #[arg(long, value_name = "URL", env = "STORE_URL", hide_env_values = true)]
    store_url: Option<String>,
    /// A folder with the gateway's basic-auth-user and basic-auth-password [default: what faas-cli login left]
    #[arg(long, value_name = "DIR")]
    basic_auth: Option<PathBuf>,
    #[command(flatten)]
    access: AccessArgs,
    /// Run nothing: write the built-in stack files into this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["files", "axes", "fresh"])]
    write_files: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  downpour grid                                        12 configurations, 5 rounds each
  downpour grid tests/emnist321.yml tests/emnist326.yml --rounds 3
  downpour grid tests/emnist323.yml --set n_fetch=1,10,50 --set codec=f32,int8
  OPENFAAS_URL=http://127.0.0.1:8080 downpour grid --store-url redis://127.0.0.1:6379";

/// What `--json` prints last.
#[derive(Serialize)]
struct Finished<'a> {
    event: &'static str,
    rounds: usize,
    failed: usize,
    results: &'a Path,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    if let Some(folder) = &args.write_files {
        return write_files(folder);
    }
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let site = Given {
        gateway: given(&args.gateway),
        store_url: given(&args.store_url),
        basic_auth: args.basic_auth.clone(),
        access: args.access.clone(),
    };
    let mut configurations = plan::configurations(&args.files, &args.axes)?;
    let results = Results::open(&args.results)?;
    Runtime::new()?.block_on(async {
        let mut signals = EndSignals::listen()?;
        let site = signals.unless(Site::find(global.state_dir.as_deref(), site)).await?;
        if site.is_own() {
            configurations.iter_mut().try_for_each(Configuration::find_folders_from_here)?;
        }
        let done = match Grid::new(global, args, &site, &configurations, results) {
            Ok(mut grid) => grid.run(&mut signals).await,
            Err(error) => Err(error),
        };
        let left = signals.unless(site.leave()).await;
        done?;
        left
    })
}

fn write_files(folder: &Path) -> Result<()> {
    for file in overlay::all()? {
        let path = folder.join(format!("{}.yml", file.name));
        std::fs::write(&path, file.text).with_context(|| format!("can't write {}", path.display()))?;
    }
    Ok(())
}

/// A grid under way.
struct Grid<'a> {
    global: &'a Global,
    args: &'a Args,
    site: &'a Site,
    /// Each with its fingerprint.
    configurations: Vec<(&'a Configuration, String)>,
    results: Results,
}

impl<'a> Grid<'a> {
    fn new(
        global: &'a Global,
        args: &'a Args,
        site: &'a Site,
        configurations: &'a [Configuration],
        mut results: Results,
    ) -> Result<Self> {
        let mut with_fingerprints = Vec::new();
        for configuration in configurations {
            let fingerprint = configuration.fingerprint(site.name())?;
            if args.fresh {
                results.discard(&configuration.name, &fingerprint)?;
            }
            if results.knows_otherwise(&configuration.name, &fingerprint) {
                eprintln!("{}: changed, or on another platform, since its last rounds", configuration.name);
            }
            with_fingerprints.push((configuration, fingerprint));
        }
        Ok(Self { global, args, site, configurations: with_fingerprints, results })
    }

    /// Makes the rounds that are missing, and writes the pages after each.
    async fn run(&mut self, signals: &mut EndSignals) -> Result<()> {
        let missing = self.missing();
        let all = self.configurations.len() * self.args.rounds as usize;
        if missing.len() < all {
            eprintln!("{} of {all} rounds are done already; --fresh runs them again", all - missing.len());
        }
        if let Some((index, _)) = missing.first() {
            let settings = &self.configurations[*index].0.settings;
            signals.unless(self.site.check(settings)).await?;
        }
        for (index, number) in missing {
            self.round(index, number, signals).await?;
            self.write()?;
        }
        self.write()?;
        self.conclude()
    }

    /// The rounds that no result is there of: index of the configuration, number.
    fn missing(&self) -> Vec<(usize, u32)> {
        let done = |(configuration, fingerprint): &(&Configuration, String), number| {
            let outcome = self.results.outcome(&configuration.name, fingerprint, number);
            outcome.is_some_and(|outcome| outcome.measurement().is_some())
        };
        let rounds = |index| (1..=self.args.rounds).map(move |number| (index, number));
        let all = (0..self.configurations.len()).flat_map(rounds);
        all.filter(|(index, number)| !done(&self.configurations[*index], *number)).collect()
    }

    async fn round(&mut self, index: usize, number: u32, signals: &mut EndSignals) -> Result<()> {
        let (configuration, fingerprint) = &self.configurations[index];
        let outcome = match round(self.site, configuration, number, signals).await {
            Ok(measurement) => Outcome::Finished(measurement),
            Err(error) if error.is::<Interrupted>() => {
                return Err(error.context("the same command goes on with the rounds that are missing"));
            }
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        let record = Record {
            configuration: configuration.name.clone(),
            fingerprint: fingerprint.clone(),
            round: number,
            outcome,
        };
        self.announce(&record)?;
        self.results.add(record)
    }

    fn announce(&self, record: &Record) -> Result<()> {
        if self.global.json {
            return output::json(record);
        }
        let Record { configuration, round, outcome, .. } = record;
        let outcome = match outcome {
            Outcome::Finished(measured) => format!(
                "{:.2} s, {:.2} iterations on {}",
                measured.time_s, measured.iterations, measured.dataset
            ),
            Outcome::Failed(why) | Outcome::Discarded(why) => format!("failed: {why}"),
        };
        eprintln!("{configuration} round {round} of {}: {outcome}", self.args.rounds);
        Ok(())
    }

    fn summaries(&self) -> Vec<Summary<'_>> {
        let summary = |(configuration, fingerprint): &(&'a Configuration, String)| {
            Summary::new(configuration, fingerprint, &self.results, self.args.rounds)
        };
        self.configurations.iter().map(summary).collect()
    }

    fn write(&self) -> Result<()> {
        let setting = Setting { platform: self.site.description(), rounds: self.args.rounds };
        pages::write(&self.args.results, &setting, &self.summaries())
    }

    fn conclude(&self) -> Result<()> {
        let summaries = self.summaries();
        let count = |of: fn(&Summary<'_>) -> usize| summaries.iter().map(of).sum::<usize>();
        let rounds = count(|summary| summary.rounds.len());
        let failed = count(|summary| summary.failures().count());
        if self.global.json {
            output::json(&Finished { event: "finished", rounds, failed, results: &self.args.results })?;
        } else {
            output::line(&pages::text(&summaries))?;
            eprintln!("written to {}", self.args.results.display());
        }
        if failed > 0 {
            bail!("{failed} of {rounds} rounds failed; the same command tries them again");
        }
        Ok(())
    }
}
