//! `output.txt`: a block a configuration, in the form of the original experiments' tables.

use super::{deviation, mean, number};
use crate::grid::results::Outcome;
use crate::grid::summary::Summary;
use figures::table::table;

/// A block for each configuration that has rounds.
pub(crate) fn text(summaries: &[Summary<'_>]) -> String {
    let blocks = summaries.iter().filter(|summary| !summary.rounds.is_empty()).map(block);
    blocks.collect::<Vec<_>>().join("\n\n")
}

/// Round, time, iterations, and for each node the workers that ran on it; then mean and deviation.
fn block(summary: &Summary<'_>) -> String {
    let nodes = summary.nodes();
    let columns: Vec<&str> =
        ["Round", "Time (s)", "Iterations"].into_iter().chain(nodes.iter().copied()).collect();
    let rounds = summary.rounds.iter().map(|(round, outcome)| row(*round, outcome, &nodes));
    let (time, iterations) = (summary.time(), summary.spread(|measured| measured.iterations));
    let blank = || nodes.iter().map(|_| String::new());
    let line =
        |name: &str, cell: [String; 2]| [name.to_owned()].into_iter().chain(cell).chain(blank()).collect();
    let averages = [
        line("Avg", [mean(time), mean(iterations)]),
        line("Stdev", [deviation(time), deviation(iterations)]),
    ];
    let on: String = summary.datasets().iter().map(|dataset| format!(", {dataset}")).collect();
    let mut text = format!(
        "{}: {}{on}\n{}",
        summary.configuration.name,
        summary.configuration.description(),
        table(&columns, rounds.chain(averages))
    );
    for (round, why) in summary.failures() {
        text.push_str(&format!("\nround {round} failed: {why}"));
    }
    text
}

fn row(round: u32, outcome: &Outcome, nodes: &[&str]) -> Vec<String> {
    let measured = outcome.measurement();
    let workers_on = |node: &&str| {
        let workers = measured.into_iter().flat_map(|measured| &measured.workers);
        let there = workers.filter(|placed| placed.node == **node).map(|placed| placed.worker.to_string());
        there.collect::<Vec<_>>().join(" ")
    };
    let figures = [
        round.to_string(),
        number(measured.map(|measured| measured.time_s)),
        number(measured.map(|measured| measured.iterations)),
    ];
    figures.into_iter().chain(nodes.iter().map(workers_on)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::with_summaries;
    use super::*;

    #[test]
    fn a_block_has_the_form_of_the_originals() {
        with_summaries(|summaries| {
            assert_eq!(
                text(summaries),
                "\
emnist323: batch size 32, 3 workers, nFetch 10, nPush 10, to 75 %, emnist-bymerge (100,000 images)
| Round | Time (s) | Iterations | a     | b   |
|-------|----------|------------|-------|-----|
| 1     |     1.50 |       0.75 | 1     | 0 2 |
| 2     |        - |          - |       |     |
| 3     |     2.50 |       1.25 | 0 1 2 |     |
| Avg   |     2.00 |       1.00 |       |     |
| Stdev |     0.71 |       0.35 |       |     |
round 2 failed: no \"place\", | none"
            );
        });
    }
}
