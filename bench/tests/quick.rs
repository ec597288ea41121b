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
fn check(name: &str, figures: &[&str]) -> Value {
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
    printed
}

#[test]
fn convergence() {
    check(
        "convergence",
        &[
            "convergence.codec_bytes",
            "convergence.algorithm_bytes",
            "convergence.straggler_epochs",
            "convergence.straggler_target",
        ],
    );
}

#[test]
fn databases() {
    check("databases", &["databases.time", "databases.bytes", "databases.accuracy"]);
}

#[test]
fn faults() {
    check("faults", &["faults.worker_time", "faults.redis_extra_s"]);
}

#[test]
fn memory() {
    let printed =
        check("memory", &["memory.minibatch_allocations", "memory.invocation_page_faults_mimalloc"]);
    assert!(
        printed["rows"][0]["allocations"].as_f64().unwrap() > 0.0,
        "allocations are not counted: {printed}"
    );
}

#[test]
fn scale() {
    check("scale", &["scale.two_workers", "scale.workers_64"]);
}

#[test]
fn train_types() {
    check("train-types", &["train_types.extra_ms_per_epoch"]);
}

#[test]
fn store() {
    check("store", &["store.vs_set_get", "store.vs_set_get_topk"]);
}

#[test]
fn overhead() {
    check("overhead", &["overhead.n1", "overhead.n10", "overhead.n50"]);
}

#[test]
fn start() {
    let printed = check("start", &["start.warm_ms", "start.zero_ms", "start.dataset_open_ms"]);
    let rows = printed["rows"].as_array().unwrap();
    let starts: Vec<_> = rows.iter().filter(|row| row["workers"].is_u64()).collect();
    // Nobody trains before the invocation, and nobody without touching memory.
    assert!(starts.len() == 3 && starts.iter().all(|row| row["ms"].as_f64().unwrap() > 0.0), "{printed}");
    assert!(starts.iter().all(|row| row["faults_per_worker"].as_f64().unwrap() > 0.0), "{printed}");
}

#[test]
fn elastic() {
    let printed = check("elastic", &["elastic.up_s", "elastic.down_s"]);
    let rows = printed["rows"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["samples/s after"].as_f64().unwrap() > 0.0), "{printed}");
}

#[test]
fn probes() {
    let printed = check("probes", &["probes.p99_ms"]);
    assert!(
        printed["rows"].as_array().unwrap().iter().all(|row| row["count"].as_u64().unwrap() > 0),
        "{printed}"
    );
}

/// What is not installed is left out, and said to be.
#[test]
fn peers() {
    let printed = check("peers", &[]);
    let ours = &printed["rows"][0];
    assert!(ours["s"].as_f64().unwrap() > 0.0 && ours["accuracy"].as_f64().unwrap() >= 0.3, "{printed}");
    let notes = printed["notes"].to_string();
    let left_out = notes.contains("NumPy, 1 process is left out: no Python here has numpy, redis");
    assert_ne!(printed["figures"]["peers.vs_numpy"].is_f64(), left_out, "{printed}");
    assert_eq!(printed["rows"].as_array().unwrap().len(), 4 - usize::from(left_out), "{printed}");
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

#[test]
fn gateway() {
    let figures =
        ["p99_ms", "async_p99_ms", "calls_per_s", "lost", "memory_mib"].map(|name| format!("gateway.{name}"));
    let printed = check("gateway", &figures.each_ref().map(String::as_str));
    // Replicas were killed on the way.
    assert_eq!(printed["figures"]["gateway.lost"], 0.0, "{printed}");
    assert!(printed["rows"].as_array().unwrap().iter().all(|row| row["count"] == 400), "{printed}");
}
