//! `downpour export`: a trained network as files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;

use crate::args::Global;
use crate::classes;
use crate::local::store::{LocalStore, StoreArgs};
use crate::model_file::{Network, write};
use crate::render::output;

/// Write a trained network as safetensors, and its layers as JSON
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  downpour export\n  downpour export --run fashion-mnist-k7x2m9qa -o clothes"
)]
pub(crate) struct Args {
    /// The run [default: the newest that is finished]
    #[arg(long)]
    run: Option<String>,
    /// Write PATH.safetensors and PATH.json [default: the run's name]
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let store = LocalStore::open(global, &args.store)?;
    let run = store.finished_run(args.run.as_deref())?;
    let config = run.config();
    let mut metadata = BTreeMap::from([
        ("run".to_owned(), run.name().to_owned()),
        ("dataset".to_owned(), config.data.name.clone()),
    ]);
    if let Some(model) = run.model()? {
        metadata.insert("test_accuracy".to_owned(), format!("{:.6}", model.evaluation.accuracy()));
    }
    let network = Network {
        architecture: &config.architecture,
        parameters: &run.parameters()?,
        class_names: &classes::names(&config.data.name, config.architecture.outputs()),
        metadata: &metadata,
    };
    let mut path = args.output.clone().unwrap_or_else(|| PathBuf::from(run.name()));
    // Who names the file that they want gets that one.
    if path.extension().is_some_and(|extension| extension == "safetensors") {
        path.set_extension("");
    }
    let files = write(&path, &network)?;
    if global.json {
        return output::json(&files);
    }
    output::line(&format!("{}\n{}", files.parameters.display(), files.layers.display()))
}
