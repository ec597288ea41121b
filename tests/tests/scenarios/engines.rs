//! Runs on functions that no gateway calls, and workers that a gateway's queue brings.

use std::collections::BTreeSet;

use scenarios::{Data, Engine, Place, Platform, stack_with};
use serde_json::{Value, json};
use sgd_lib::downpour::Run;

/// The replicas that a run's workers were in.
fn pods(report: &Value) -> Vec<&str> {
    report["workers"].as_array().unwrap().iter().map(|worker| worker["pod"].as_str().unwrap()).collect()
}

fn distinct(report: &Value) -> usize {
    pods(report).into_iter().collect::<BTreeSet<_>>().len()
}

#[test]
fn without_a_gateway_each_worker_gets_a_replica_of_its_own_while_there_are_any() {
    let (engine, data) = (Engine::start(3, 1), Data::find());
    let report = engine.train(&["--data-dir", data.folder(), "--workers", "3", "--epochs", "1"]);
    assert_eq!(report["samples"], data.train_images, "{report}");
    assert_eq!((pods(&report).len(), distinct(&report)), (3, 3), "{report}");
}

#[test]
fn without_a_gateway_more_workers_than_replicas_share_them() {
    let (engine, data) = (Engine::start(2, 4), Data::find());
    let report = engine.train(&["--data-dir", data.folder(), "--workers", "5", "--epochs", "1"]);
    assert_eq!(report["samples"], data.train_images, "{report}");
    assert_eq!((pods(&report).len(), distinct(&report)), (5, 2), "{report}");
}

#[test]
fn a_queue_needs_the_gateway() {
    let (engine, data) = (Engine::start(1, 1), Data::find());
    let url = engine.setup_url();
    let flags = ["train", "--function-url", &url, "--store-url", engine.store_url(), "--fan-out", "async"];
    let message = engine.place.downpour(&[&flags[..], &["--data-dir", data.folder()]].concat()).failed(1);
    assert!(message.contains("emnist-setup answered 400: fan_out is async"), "{message}");
}

fn queued(platform: &Platform, data: &Data, workers: u32) -> (Run, Value) {
    let settings = json!({
        "data_dir": data.folder(), "number_of_workers": workers, "iterations": 1, "fan_out": "async",
        "target_accuracy": "none",
    });
    let answer = platform.call("emnist-setup", settings.to_string().as_bytes(), Some("a-setup")).json(200);
    (platform.run(answer["run"].as_str().unwrap()), answer)
}

fn with_max_inflight(most: &str) -> Platform {
    let most = format!("max_inflight: {most:?}");
    Platform::start(Place::new(), &stack_with(&[(r#"max_inflight: "8""#, &most)]))
}

#[test]
fn a_queue_packs_workers_into_the_replicas_that_there_are() {
    let (platform, data) = (with_max_inflight("4"), Data::find());
    let (run, answer) = queued(&platform, &data, 6);
    assert_eq!((&answer["workers"], &answer["queued"]), (&json!(6), &json!(true)), "{answer}");
    // Delivered again, whether its workers are there already or not: the same run, no worker more.
    let (again, _) = queued(&platform, &data, 6);
    assert_eq!(again.name(), run.name());
    let status = platform.await_end(&run);
    assert_eq!((status.control.workers, status.workers.len()), (Some(6), 6), "{status:#?}");
    let report = platform.report(&run);
    assert_eq!(report["samples"], data.train_images, "{report}");
}

#[test]
fn a_queue_brings_one_worker_to_each_replica_and_a_run_begins_without_those_that_find_none() {
    let (platform, data) = (with_max_inflight("1"), Data::find());
    let (run, answer) = queued(&platform, &data, 3);
    assert_eq!(answer["left_out"], json!([]), "{answer}");
    let status = platform.await_end(&run);
    assert_eq!(status.control.workers, Some(2), "{status:#?}");
    let report = platform.report(&run);
    assert_eq!((pods(&report).len(), distinct(&report)), (2, 2), "{report}");
    assert_eq!(report["samples"], data.train_images, "the two share all of the data: {report}");
    // The third call, which the queue brings sooner or later, changes nothing, and the replica is free.
    let second = platform.set_up(&json!({"data_dir": data.folder(), "iterations": 1}));
    platform.await_end(&second);
    assert_eq!(platform.report(&run), report);
}
