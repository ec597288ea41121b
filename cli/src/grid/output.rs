//! The pages of a grid: `output.txt` with every round, `results.md` with a line a configuration and the
//! plots, `results.csv` with every figure.

mod csv;
mod markdown;
mod text;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::plots;
use super::summary::{Spread, Summary};

pub(crate) use text::text;

/// Where and how often.
pub(crate) struct Setting {
    /// The platform in words.
    pub(crate) platform: String,
    /// Rounds asked for.
    pub(crate) rounds: u32,
}

/// Writes all pages into `folder`.
///
/// # Errors
/// One can't be written, or a plot can't be drawn.
pub(crate) fn write(folder: &Path, setting: &Setting, summaries: &[Summary<'_>]) -> Result<()> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("can't write {}", path.display()))
    };
    write("output.txt", &format!("{}\n", text(summaries)))?;
    write("results.csv", &csv::csv(summaries))?;
    let plots = plots::all(setting, summaries)?;
    for plot in &plots {
        write(&plot.file, &plot.svg)?;
    }
    write("results.md", &markdown::markdown(setting, summaries, &plots))
}

/// A mean, with two decimals.
fn mean(spread: Option<Spread>) -> String {
    number(spread.map(|spread| spread.mean))
}

fn deviation(spread: Option<Spread>) -> String {
    number(spread.and_then(|spread| spread.deviation))
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::plan::{self, Configuration};
    use super::super::results::tests::{measured, record};
    use super::super::results::{Outcome, Results};
    use super::*;

    /// Two configurations: one of whose three rounds one failed, and one without any.
    pub(super) fn with_summaries(check: impl FnOnce(&[Summary<'_>])) {
        let folder = TempDir::new().unwrap();
        let mut results = Results::open(folder.path()).unwrap();
        let finished =
            |time, iterations, nodes: &[&str]| Outcome::Finished(measured(time, iterations, nodes));
        let outcomes = [
            finished(1.5, 0.75, &["b", "a", "b"]),
            Outcome::Failed("no \"place\", | none".to_owned()),
            finished(2.5, 1.25, &["a", "a", "a"]),
        ];
        for (round, outcome) in (1..).zip(outcomes) {
            results.add(record("emnist323", round, outcome)).unwrap();
        }
        let grid = plan::configurations(&[], &[]).unwrap();
        let named = |name: &str| -> &Configuration { grid.iter().find(|c| c.name == name).unwrap() };
        let summaries = ["emnist323", "emnist1286"].map(|name| Summary::new(named(name), "f", &results, 3));
        check(&summaries);
    }

    #[test]
    fn all_pages_are_written() {
        let folder = TempDir::new().unwrap();
        let setting = Setting { platform: "the local gateway".to_owned(), rounds: 3 };
        with_summaries(|summaries| write(folder.path(), &setting, summaries).unwrap());
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = "iterations-by-workers.svg output.txt results.csv results.md time-by-batch-size.svg \
                        time-by-workers.svg";
        assert_eq!(names, expected.split_whitespace().collect::<Vec<_>>());
    }
}
