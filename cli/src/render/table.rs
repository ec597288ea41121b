//! Tables on standard output.

use comfy_table::{CellAlignment, Table, presets};

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

/// A table with these columns; those that hold nothing but numbers are aligned right.
pub(crate) fn table(columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(columns.to_vec());
    for (index, column) in table.column_iter_mut().enumerate() {
        let is_number = |row: &Vec<String>| row.get(index).is_none_or(|cell| looks_numeric(cell));
        if rows.iter().all(is_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(rows);
    table.to_string()
}

fn looks_numeric(cell: &str) -> bool {
    cell.chars().all(|c| c.is_ascii_digit() || ".,-%".contains(c))
}

/// One decimal, or none where it would be zero.
pub(crate) fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// A whole number with commas between thousands.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 && digits != "0" { format!("-{text}") } else { text }
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

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(0.0), "0");
        assert_eq!(grouped(999.4), "999");
        assert_eq!(grouped(1_000.0), "1,000");
        assert_eq!(grouped(1_234_567.0), "1,234,567");
        assert_eq!(grouped(-1_234.0), "-1,234");
    }
}
