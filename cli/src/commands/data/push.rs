//! `downpour data push`: brings a data set into the store, for functions that have no files.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use platform::data;
use platform::settings::{Settings, SettingsError};
use serde::Serialize;
use sgd_lib::dataset::Dataset;
use sgd_lib::downpour::shipment;
use sgd_lib::store::{RUN_TTL, RedisStore, Store};

use crate::args::Global;
use crate::exit_code::BadArguments;
use crate::local::running;
use crate::render::output;
use crate::state_dir::StateDir;
use figures::table::grouped;

/// Put a data set into the store, where functions without files find it
///
/// Run again, it puts there only what is missing, and keeps all of it for another 30 days. It reads the
/// same environment variables as functions: store_url, store_password_secret, dataset, data_dir.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A folder with IDX files or a .mat file [default: a folder of the data set's name, where functions
    /// and `data get` have theirs]
    dir: Option<PathBuf>,
    /// Which data set [default: emnist-bymerge where its files are, else fashion-mnist]
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Whether IDX files hold transposed images [default: those named emnist-* do]
    #[arg(long, value_name = "yes|no")]
    transposed: Option<String>,
    /// The Redis to put it into [default: the variable store_url, else the local platform's]
    #[arg(long, value_name = "URL")]
    store_url: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  downpour data push --dataset fashion-mnist --store-url redis://127.0.0.1:6379
  downpour data push ./my-data --store-url redis://:PASSWORD@redis.example:6379
  store_password_secret=redis-password secret_mount_path=. downpour data push

Functions take it from there with dataset_source=store.";

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    dataset: &'a str,
    digest: String,
    train_images: usize,
    test_images: usize,
    chunks: u32,
    chunks_written: u32,
    bytes_written: u64,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let state = StateDir::locate(global.state_dir.as_deref())?;
    let settings = settings(args, &state).map_err(|error| BadArguments(error.to_string()))?;
    let cache = settings.cache_folder();
    state.create(&cache)?;
    let source = data::find(&settings)?;
    let dataset = Dataset::prepare(&source, &cache, settings.transpose).context("can't read the data set")?;
    let shipped = shipment::publish(&*store(&settings, &state)?, &dataset)?;
    let answer = Answer {
        dataset: dataset.name(),
        digest: format!("{:016x}", dataset.digest()),
        train_images: dataset.train().len(),
        test_images: dataset.test().len(),
        chunks: shipped.chunks,
        chunks_written: shipped.written,
        bytes_written: shipped.bytes,
    };
    if global.json { output::json(&answer) } else { output::line(&text(&answer)) }
}

/// The environment's settings, overridden by the flags; folders are the state folder's where none is given.
fn settings(args: &Args, state: &StateDir) -> Result<Settings, SettingsError> {
    let dir = args.dir.as_ref().map(|dir| dir.to_string_lossy().into_owned());
    let flags = [
        ("data-dir", dir.as_ref()),
        ("dataset", args.dataset.as_ref()),
        ("transposed", args.transposed.as_ref()),
        ("store-url", args.store_url.as_ref()),
    ];
    let mut settings = Settings::from_environment(|name| env::var(name).ok())?;
    for (flag, value) in flags {
        if let Some(value) = value {
            settings = settings.overridden_by_flag(flag, value)?;
        }
    }
    settings.data_root.get_or_insert_with(|| state.datasets());
    settings.cache_dir.get_or_insert_with(|| state.prepared());
    Ok(settings)
}

/// The Redis of these settings, opened as functions do it, else that of the local platform that runs.
fn store(settings: &Settings, state: &StateDir) -> Result<Arc<dyn Store>> {
    if settings.is_given("store_url") {
        return Ok(platform::store::open(settings, |name| env::var(name).ok())?);
    }
    let running = running::find(state.path())?;
    let running =
        running.context("no store to put it into: --store-url names one, downpour up starts one")?;
    Ok(Arc::new(RedisStore::open(&running.store_url)?))
}

fn text(answer: &Answer<'_>) -> String {
    let Answer { dataset, digest, chunks, chunks_written, .. } = answer;
    let images = grouped((answer.train_images + answer.test_images) as f64);
    let mebibytes = answer.bytes_written as f64 / f64::from(1 << 20);
    let done = match (chunks_written, chunks - chunks_written) {
        (0, _) => "all of them there already".to_owned(),
        (_, 0) => format!("put there now, {mebibytes:.1} MiB"),
        (written, _) => format!("{written} put there now, {mebibytes:.1} MiB, the others there already"),
    };
    let days = RUN_TTL.as_secs() / (24 * 3600);
    format!(
        "{dataset} ({images} images, digest {digest}) is in the store: {chunks} chunks, {done}\nfunctions find it with dataset_source=store, for {days} days after the last run or push"
    )
}
