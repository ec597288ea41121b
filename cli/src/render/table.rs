//! The table of a run's workers.

use figures::table::{grouped, table};

/// What one worker did in a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WorkerRow {
    /// The worker's number, from 0.
    pub(crate) worker: u32,
    /// The node that it ran on.
    pub(crate) node: String,
    /// Seconds from its first minibatch to its last acknowledged push.
    pub(crate) time_s: f64,
    /// Epochs that it trained, as the original experiments call them.
    pub(crate) iterations: u32,
    /// Samples that it trained on in a second.
    pub(crate) samples_per_s: f64,
    /// Mean number of pushes by others that a pushed gradient had not seen.
    pub(crate) staleness: f64,
}

/// The table of a run's workers.
pub(crate) fn workers(rows: &[WorkerRow]) -> String {
    let columns = ["Worker", "Node", "Time (s)", "Iterations", "Samples/s", "Staleness"];
    let cells = rows.iter().map(|row| {
        vec![
            row.worker.to_string(),
            row.node.clone(),
            format!("{:.2}", row.time_s),
            row.iterations.to_string(),
            grouped(row.samples_per_s),
            format!("{:.1}", row.staleness),
        ]
    });
    table(&columns, cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workers_table_has_its_columns_and_aligned_numbers() {
        let row = WorkerRow {
            worker: 0,
            node: "laptop".to_owned(),
            time_s: 0.456,
            iterations: 1,
            samples_per_s: 81_234.6,
            staleness: 2.04,
        };
        let second = WorkerRow { worker: 1, samples_per_s: 9_000.0, iterations: 2, ..row.clone() };
        assert_eq!(
            workers(&[row, second]),
            "\
| Worker | Node   | Time (s) | Iterations | Samples/s | Staleness |
|--------|--------|----------|------------|-----------|-----------|
|      0 | laptop |     0.46 |          1 |    81,235 |       2.0 |
|      1 | laptop |     0.46 |          2 |     9,000 |       2.0 |"
        );
    }
}
