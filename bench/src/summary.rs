//! The figures of all benchmarks in one JSON object.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::benches;

/// Collects the figures of all benchmarks that have results in `folder` into `summary.json` there, by name,
/// with what the machine is.
///
/// # Errors
/// A result can't be read, or the summary not be written.
pub(crate) fn write(folder: &Path) -> Result<Value> {
    let mut all = Map::from_iter([("machine".to_owned(), machine())]);
    for bench in benches::ALL {
        let path = folder.join(format!("{}.json", bench.name));
        if !path.is_file() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let mut result: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is no result", path.display()))?;
        if let Value::Object(figures) = result["figures"].take() {
            all.extend(figures);
        }
    }
    let (path, all) = (folder.join("summary.json"), Value::Object(all));
    fs::write(&path, format!("{all:#}\n")).with_context(|| format!("writing {}", path.display()))?;
    Ok(all)
}

/// What it was measured on.
fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, value)| value).to_owned()
    };
    let flags = field("flags");
    let features: Vec<&str> = ["avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "amx_tile"]
        .into_iter()
        .filter(|feature| flags.split(' ').any(|flag| flag == *feature))
        .collect();
    json!({
        "processor": field("model name"),
        "features": features,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}
