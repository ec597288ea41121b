//! `downpour data info`: what a folder holds.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use sgd_lib::dataset::{Dataset, Name, Source, find};

use crate::args::Global;
use crate::exit_code::BadArguments;
use crate::images::Transposed;
use crate::render::output;
use crate::state_dir::StateDir;
use figures::table::grouped;

/// Show which data set a folder holds, and check its files
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  downpour data info /usr/share/datasets/fashion-mnist")]
pub(crate) struct Args {
    /// A folder with IDX files (gzip or plain) or a .mat file, or that .mat file itself
    dir: PathBuf,
    /// Which data set, where the folder holds several
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Whether the files hold their images transposed [default: by the files' names]
    #[arg(long, value_name = "yes|no")]
    transposed: Option<Transposed>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    dataset: &'a str,
    train_images: u64,
    test_images: u64,
    width: u32,
    height: u32,
    classes: u32,
    class_names: &'a [String],
    transposed: bool,
    blank_share: f32,
    files: Vec<&'a Path>,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let name: Option<Name> = args
        .dataset
        .as_ref()
        .map(|name| name.parse())
        .transpose()
        .map_err(|error| BadArguments(format!("{error}")))?;
    let transpose = Transposed::or_by_name(args.transposed);
    let source = find(&args.dir, name)?;
    let state = StateDir::locate(global.state_dir.as_deref())?;
    let cache = state.prepared();
    state.create(&cache)?;
    // Reading everything once is the check, and what is prepared here the next training finds.
    let dataset = Dataset::prepare(&source, &cache, transpose).context("can't read the data set")?;
    let answer = answer(&source, &dataset, source.transposed(transpose));
    if global.json { output::json(&answer) } else { output::line(&text(&answer)) }
}

fn answer<'a>(source: &'a Source, dataset: &'a Dataset, transposed: bool) -> Answer<'a> {
    let shape = dataset.shape();
    Answer {
        dataset: dataset.name(),
        train_images: shape.train,
        test_images: shape.test,
        width: shape.width,
        height: shape.height,
        classes: shape.classes,
        class_names: dataset.class_names(),
        transposed,
        blank_share: dataset.zero_share(),
        files: source.paths().collect(),
    }
}

fn text(answer: &Answer<'_>) -> String {
    let files: Vec<String> = answer.files.iter().map(|file| format!("  {}", file.display())).collect();
    let stored = if answer.transposed { "stored transposed, shown upright" } else { "stored upright" };
    format!(
        "{}\n  {} images to train on, {} to test on, of {}×{} pixels, {stored}\n  {} classes: {}\n  {:.0} % of the pixels are blank\nfiles:\n{}",
        answer.dataset,
        grouped(answer.train_images as f64),
        grouped(answer.test_images as f64),
        answer.width,
        answer.height,
        answer.classes,
        answer.class_names.join(" "),
        100.0 * answer.blank_share,
        files.join("\n")
    )
}
