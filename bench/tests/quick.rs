//! Every benchmark works: once, and little of it.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs a benchmark, and returns what it prints.
fn quick(name: &str, results: &Path) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_downpour-bench"))
        .args(["--quick", "--json", name, "--results"])
        .arg(results)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Checks that a benchmark measures these figures, and leaves its results.
fn check(name: &str, figures: &[&str]) {
    let results = tempfile::tempdir().unwrap();
    let printed = quick(name, results.path());
    for figure in figures {
        assert!(printed["figures"][figure].is_f64(), "no {figure} in {printed}");
    }
    let rows = printed["rows"].as_array().unwrap();
    assert!(!rows.is_empty(), "{printed}");
    let read = |file: &str| std::fs::read_to_string(results.path().join(file)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&read(&format!("{name}.json"))).unwrap(), printed);
    assert!(read(&format!("{name}.svg")).starts_with("<svg "));
    let summary: Value = serde_json::from_str(&read("summary.json")).unwrap();
    assert!(figures.iter().all(|figure| summary[figure] == printed["figures"][figure]), "{summary}");
}

#[test]
fn databases() {
    check("databases", &["databases.time", "databases.bytes", "databases.accuracy"]);
}

#[test]
fn train_types() {
    check("train-types", &["train_types.extra_ms_per_epoch"]);
}

#[test]
fn kernel() {
    check(
        "kernel",
        &[
            "kernel.emnist_vs_matrixmultiply",
            "kernel.emnist_vs_fastest_gemm",
            "kernel.dense_vs_gemm",
            "kernel.allocations",
            "kernel.page_faults",
        ],
    );
}
