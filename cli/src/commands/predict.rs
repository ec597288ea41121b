//! `downpour predict`: classifies images with a trained network.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use sgd_lib::dataset::read_labels;
use sgd_lib::network::Predictor;

use crate::args::Global;
use crate::classes;
use crate::images::{self, Transposed};
use crate::local::store::{LocalStore, StoreArgs};
use crate::render::output;

/// Classify images with a trained network
///
/// Takes PNG files and IDX files (gzip or plain) of the size that the network was trained on. Ink is
/// bright and paper dark.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// PNG or IDX files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The run [default: the newest that is finished]
    #[arg(long)]
    run: Option<String>,
    /// An IDX file with the labels of all images: shows the accuracy
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Whether IDX files hold their images transposed [default: those named emnist-* do]
    #[arg(long, value_name = "yes|no")]
    transposed: Option<Transposed>,
    #[command(flatten)]
    store: StoreArgs,
}

const EXAMPLES: &str = "\
Examples:
  downpour predict a.png b.png
  downpour predict t10k-images-idx3-ubyte.gz --labels t10k-labels-idx1-ubyte.gz";

/// What `--json` prints.
#[derive(Serialize)]
struct Answer {
    run: String,
    images: usize,
    accuracy: Option<f64>,
    /// The most probable class of each image, from 0.
    predictions: Vec<usize>,
    /// What that class is called.
    names: Vec<String>,
    /// How probable it is, 0 to 1.
    probabilities: Vec<f32>,
}

pub(crate) fn run(global: &Global, args: &Args) -> Result<()> {
    let store = LocalStore::open(global, &args.store)?;
    let run = store.finished_run(args.run.as_deref())?;
    let architecture = &run.config().architecture;
    let parameters = run.parameters()?;
    let transpose = Transposed::or_by_name(args.transposed);
    let mut predictor = Predictor::new(architecture);
    let (mut sources, mut best) = (Vec::new(), Vec::new());
    for file in &args.files {
        let images = images::read(file, architecture.inputs(), transpose)?;
        let probabilities = predictor.probabilities(&parameters, &images.pixels);
        best.extend(probabilities.chunks_exact(architecture.outputs()).map(most_probable));
        sources.extend((0..images.count).map(|index| source(file, index, images.count)));
    }
    let dataset = &run.config().data.name;
    let accuracy = match &args.labels {
        Some(file) => Some(accuracy(file, &best, classes::first_label(dataset), architecture.outputs())?),
        None => None,
    };
    let names = classes::names(dataset, architecture.outputs());
    let answer = Answer {
        run: run.name().to_owned(),
        images: best.len(),
        accuracy,
        predictions: best.iter().map(|&(class, _)| class).collect(),
        names: best.iter().map(|&(class, _)| names[class].clone()).collect(),
        probabilities: best.iter().map(|&(_, probability)| probability).collect(),
    };
    if global.json { output::json(&answer) } else { output::line(&text(&answer, &sources)) }
}

/// The class of the highest probability, and that probability; the first of equal ones.
fn most_probable(probabilities: &[f32]) -> (usize, f32) {
    let better = |best: (usize, f32), next: (usize, f32)| if next.1 > best.1 { next } else { best };
    probabilities.iter().copied().enumerate().fold((0, f32::NEG_INFINITY), better)
}

fn source(file: &Path, index: usize, count: usize) -> String {
    if count == 1 { file.display().to_string() } else { format!("{} image {index}", file.display()) }
}

/// Share of the predictions that the labels of `file` confirm.
fn accuracy(file: &Path, best: &[(usize, f32)], first_label: u8, classes: usize) -> Result<f64> {
    let labels = read_labels(file)?;
    if labels.len() != best.len() {
        bail!("{} holds {} labels; there are {} images", file.display(), labels.len(), best.len());
    }
    let mut right = 0;
    for (&label, &(class, _)) in labels.iter().zip(best) {
        let labelled = label.checked_sub(first_label).map(usize::from).filter(|&class| class < classes);
        let labelled = labelled.with_context(|| {
            let last = usize::from(first_label) + classes - 1;
            format!("{}: found the label {label}; the network knows {first_label} to {last}", file.display())
        })?;
        right += usize::from(labelled == class);
    }
    Ok(right as f64 / best.len().max(1) as f64)
}

/// A line per image, or where there are labels what they say.
fn text(answer: &Answer, sources: &[String]) -> String {
    if let Some(accuracy) = answer.accuracy {
        return format!("{:.2} % of {} images are classified as labelled", 100.0 * accuracy, answer.images);
    }
    let guesses = answer.names.iter().zip(&answer.probabilities);
    let lines: Vec<String> = sources
        .iter()
        .zip(guesses)
        .map(|(source, (name, probability))| format!("{source}: {name} ({:.1} %)", 100.0 * probability))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_probable_class_is_the_first_of_the_highest() {
        assert_eq!(most_probable(&[0.1, 0.45, 0.45]), (1, 0.45));
        assert_eq!(most_probable(&[f32::NAN, 0.2]).0, 1);
        assert_eq!(most_probable(&[f32::NAN]).0, 0);
    }
}
