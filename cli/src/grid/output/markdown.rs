//! `results.md`: a line a configuration, and the plots.

use std::collections::BTreeSet;

use super::{Setting, deviation, mean, number};
use crate::grid::plots::Plot;
use crate::grid::summary::Summary;
use figures::table::{grouped, table};

const COLUMNS: [&str; 12] = [
    "Configuration",
    "Batch size",
    "Workers",
    "Rounds",
    "Time (s)",
    "Stdev",
    "Training (s)",
    "Iterations",
    "Samples/s",
    "Test accuracy (%)",
    "Original (s)",
    "Original ÷ here",
];

/// The page.
pub(super) fn markdown(setting: &Setting, summaries: &[Summary<'_>], plots: &[Plot]) -> String {
    let Setting { platform, rounds } = setting;
    let mut page = format!(
        "# Batch experiments\n\n\
         On {platform}; data: {}; {rounds} rounds of each configuration, each with its number as its seed.\n\n\
         **Time** is the run's wall time to the target accuracy: from sending the setup invocation to reading the \
         final record, mean of the rounds that succeeded. **Training** is the part from the first minibatch to the \
         last acknowledged push. **Iterations** are epochs of all workers together. **Original** is the mean of five \
         rounds that the original experiments published, on all 731,668 training images of EMNIST ByMerge and three \
         machines.\n\n",
        datasets(summaries)
    );
    page.push_str(&table(&COLUMNS, summaries.iter().map(row)));
    page.push_str("\n\nEvery round is in [output.txt](output.txt) and [results.csv](results.csv).\n");
    let failures = summaries.iter().flat_map(|summary| {
        let name = &summary.configuration.name;
        summary.failures().map(move |(round, why)| format!("- {name}, round {round}: {why}\n"))
    });
    let failures: String = failures.collect();
    if !failures.is_empty() {
        page.push_str(&format!("\n## Failed rounds\n\n{failures}"));
    }
    for Plot { title, file, .. } in plots {
        page.push_str(&format!("\n## {title}\n\n![{title}]({file})\n"));
    }
    page
}

fn datasets(summaries: &[Summary<'_>]) -> String {
    let names: BTreeSet<String> = summaries.iter().flat_map(Summary::datasets).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn row(summary: &Summary<'_>) -> Vec<String> {
    let settings = &summary.configuration.settings;
    let (time, original) = (summary.time(), summary.original());
    let samples = summary.spread(|measured| measured.samples_per_s);
    let accuracy = summary.spread(|measured| 100.0 * measured.test_accuracy.unwrap_or(f64::NAN));
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        summary.configuration.name.clone(),
        settings.batch_size.to_string(),
        settings.workers.to_string(),
        summary.measurements().count().to_string(),
        mean(time),
        deviation(time),
        mean(summary.spread(|measured| measured.train_s)),
        mean(summary.spread(|measured| measured.iterations)),
        or_none(samples.map(|samples| grouped(samples.mean))),
        number(accuracy.map(|accuracy| accuracy.mean)),
        or_none(original.map(grouped)),
        number(summary.times_faster()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::tests::with_summaries;
    use super::*;

    #[test]
    fn the_page_compares_and_names_failures_and_plots() {
        let setting = Setting { platform: "the local gateway".to_owned(), rounds: 3 };
        let plot = Plot { title: "Time".to_owned(), file: "time.svg".to_owned(), svg: String::new() };
        with_summaries(|summaries| {
            let page = markdown(&setting, summaries, &[plot]);
            let lines = [
                "On the local gateway; data: emnist-bymerge (100,000 images); 3 rounds of each configuration, each with its number as its seed.",
                "| emnist323     |         32 |       3 |      2 |     2.00 |  0.71 |         1.00 |       1.00 |    37,333 |             75.12 |          774 |          387.00 |",
                "| emnist1286    |        128 |       6 |      0 |        - |     - |            - |          - |         - |                 - |        4,593 |               - |",
                "- emnist323, round 2: no \"place\", | none",
                "![Time](time.svg)",
            ];
            for line in lines {
                assert!(page.lines().any(|found| found == line), "no {line}\nin\n{page}");
            }
        });
    }
}
