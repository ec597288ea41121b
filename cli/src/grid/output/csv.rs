//! `results.csv`: a line a round, as RFC 4180 has it.

use crate::grid::results::Outcome;
use crate::grid::summary::Summary;

const HEADER: &str = "configuration,varied,batch_size,workers,n_fetch,n_push,round,outcome,data_set,time_s,train_s,\
                      iterations,test_accuracy,samples,samples_per_s,bytes_pushed,bytes_fetched,nodes,run,\
                      original_mean_time_s,failure\n";

/// Every round of every configuration.
pub(super) fn csv(summaries: &[Summary<'_>]) -> String {
    let lines = summaries.iter().flat_map(|summary| {
        summary.rounds.iter().map(move |(round, outcome)| line(&cells(summary, *round, outcome)))
    });
    std::iter::once(HEADER.to_owned()).chain(lines).collect()
}

fn cells(summary: &Summary<'_>, round: u32, outcome: &Outcome) -> Vec<String> {
    let configuration = summary.configuration;
    let settings = &configuration.settings;
    let varied: Vec<_> = configuration.varied.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mut cells = vec![configuration.name.clone(), varied.join(" ")];
    cells.extend([settings.batch_size.to_string(), settings.workers.to_string()]);
    cells.extend([settings.n_fetch, settings.n_push].map(|n| n.to_string()));
    cells.extend([
        round.to_string(),
        if outcome.failure().is_some() { "failed" } else { "finished" }.to_owned(),
    ]);
    match outcome.measurement() {
        Some(measured) => {
            let nodes: Vec<&str> = measured.workers.iter().map(|placed| placed.node.as_str()).collect();
            cells.extend([
                measured.dataset.clone(),
                format!("{:.3}", measured.time_s),
                format!("{:.3}", measured.train_s),
                format!("{:.4}", measured.iterations),
                measured.test_accuracy.map_or_else(String::new, |accuracy| accuracy.to_string()),
                measured.samples.to_string(),
                format!("{:.0}", measured.samples_per_s),
                measured.bytes_pushed.to_string(),
                measured.bytes_fetched.to_string(),
                nodes.join(" "),
                measured.run.clone(),
            ]);
        }
        None => cells.extend(std::iter::repeat_n(String::new(), 11)),
    }
    cells.push(summary.original().map_or_else(String::new, |seconds| seconds.to_string()));
    cells.push(outcome.failure().unwrap_or_default().to_owned());
    cells
}

fn line(cells: &[String]) -> String {
    let quoted = cells.iter().map(|cell| {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    });
    format!("{}\n", quoted.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::super::tests::with_summaries;
    use super::*;

    #[test]
    fn every_round_is_a_line_with_every_figure() {
        with_summaries(|summaries| {
            let text = csv(summaries);
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines.len(), 4);
            assert_eq!(
                lines[1],
                "emnist323,,32,3,10,10,1,finished,emnist-bymerge,1.500,0.750,0.7500,0.7512,70000,46667,1000000,\
                 2000000,b a b,emnist-bymerge-abc,774,"
            );
            assert_eq!(
                lines[2],
                "emnist323,,32,3,10,10,2,failed,,,,,,,,,,,,774,\"no \"\"place\"\", | none\""
            );
            assert_eq!(HEADER.split(',').count(), lines[1].split(',').count());
        });
    }
}
