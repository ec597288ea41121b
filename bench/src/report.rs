//! What was measured, as a table, as JSON and as a chart.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use figures::chart::Chart;
use figures::table::table;
use serde_json::{Map, Value, json};

/// What a benchmark measured.
pub(crate) struct Report {
    /// Names of the table's columns.
    pub(crate) columns: Vec<&'static str>,
    /// Its rows, a value for each column.
    pub(crate) rows: Vec<Vec<Value>>,
    /// What the bars are about, by name: `kernel.dense_vs_gemm`. All other values are for reading.
    pub(crate) figures: Vec<(&'static str, f64)>,
    /// What a reader has to know to understand the table, a line each.
    pub(crate) notes: Vec<String>,
    /// The same to look at.
    pub(crate) chart: Chart,
}

impl Report {
    /// The table, what has to be known of it, and the figures.
    pub(crate) fn text(&self) -> String {
        let rows = self.rows.iter().map(|row| row.iter().map(cell).collect());
        let mut text = table(&self.columns, rows);
        for note in &self.notes {
            text.push_str(&format!("\n{note}"));
        }
        for (name, value) in &self.figures {
            text.push_str(&format!("\n{name} = {}", number(*value)));
        }
        text
    }

    /// The same as one object.
    pub(crate) fn json(&self, name: &str) -> Value {
        let row = |row: &Vec<Value>| -> Map<String, Value> {
            self.columns.iter().map(|column| (*column).to_owned()).zip(row.iter().cloned()).collect()
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        let figures: Map<_, _> =
            self.figures.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        json!({ "bench": name, "figures": figures, "rows": rows, "notes": self.notes })
    }

    /// Writes `NAME.json` and `NAME.svg`.
    ///
    /// # Errors
    /// They can't be written.
    pub(crate) fn write(&self, name: &str, folder: &Path) -> Result<()> {
        let write = |ending: &str, content: String| {
            let path = folder.join(format!("{name}.{ending}"));
            fs::write(&path, content).with_context(|| format!("writing {}", path.display()))
        };
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        write("json", format!("{:#}\n", self.json(name)))?;
        write("svg", self.chart.draw()?)
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(found) if found.is_f64() => number(found.as_f64().unwrap_or(f64::NAN)),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = (2 - value.abs().log10().floor() as i32).max(0);
    format!("{value:.*}", digits.unsigned_abs() as usize)
}

#[cfg(test)]
mod tests {
    use figures::chart::{Axis, Lines, Scale};

    use super::*;

    fn report() -> Report {
        Report {
            columns: vec!["codec", "bytes", "time (µs)"],
            rows: vec![vec![json!("f32"), json!(332_988), json!(123.456)]],
            figures: vec![("store.vs_set_get", 1.0449)],
            notes: vec!["Medians of 9.".to_owned()],
            chart: Chart {
                title: "Time".to_owned(),
                subtitle: String::new(),
                x: Axis::new("x", Scale::Linear),
                y: Axis::new("y", Scale::Linear),
                measured: Lines::default(),
                compared: Lines::default(),
            },
        }
    }

    #[test]
    fn a_table_for_people() {
        let wanted = "\
| codec |  bytes | time (µs) |
|-------|--------|-----------|
| f32   | 332988 |       123 |
Medians of 9.
store.vs_set_get = 1.04";
        assert_eq!(report().text(), wanted);
    }

    #[test]
    fn one_object_for_programs() {
        let found = report().json("store");
        assert_eq!(found["rows"][0]["bytes"], 332_988);
        assert_eq!(found["figures"]["store.vs_set_get"], 1.0449);
    }

    #[test]
    fn three_digits_count() {
        let numbers = [0.0, 0.000_123_45, 0.5, 1.0449, 12.34, 123_456.7];
        assert_eq!(numbers.map(number), ["0", "0.000123", "0.500", "1.04", "12.3", "123457"]);
    }
}
