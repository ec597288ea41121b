//! A few runs of the chaos suite, with all its checks. `make chaos` goes through more.

use std::process::Command;

use serde_json::Value;

#[test]
fn disturbed_runs_lose_nothing_and_count_nothing_twice() {
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_chaos"));
    let output = chaos.envs([("RUNS", "3"), ("SEED", "100")]).output().expect("chaos starts");
    let (said, printed) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{said}{printed}");
    let summary: Value = serde_json::from_str(printed.trim()).expect("one JSON line");
    for (key, wanted) in [("runs", 3), ("failed_runs", 0), ("lost", 0), ("doubled", 0), ("seed", 100)] {
        assert_eq!(summary[key], wanted, "{key}: {said}{summary}");
    }
    assert!(summary["faults"].as_u64().is_some_and(|faults| faults >= 12), "{said}{summary}");
    assert_eq!(said.matches("survived").count(), 3, "{said}");
}

#[test]
fn a_number_that_is_none_is_refused() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_chaos")).env("RUNS", "many").output().expect("chaos starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("RUNS is \"many\""));
}
