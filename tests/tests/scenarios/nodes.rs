//! Runs whose workers push to a Redis on their node.

use std::collections::BTreeSet;

use rustix::process::Signal;
use scenarios::{Data, Place, Platform, stack_with};
use serde_json::{Value, json};

/// Seconds of training: enough for a signal to arrive in the middle of it on a busy machine.
const EPOCHS: u64 = 12;

fn settings(data: &Data, workers: u64) -> Value {
    json!({
        "data_dir": data.folder(), "iterations": EPOCHS, "number_of_workers": workers, "database": "local",
        "target_accuracy": "none",
    })
}

fn workers(report: &Value) -> &[Value] {
    report["workers"].as_array().unwrap()
}

#[test]
fn three_nodes_send_each_other_a_part_of_what_is_pushed() {
    let (place, data) = (Place::new(), Data::find());
    let train = |database| {
        place.train(&["--data-dir", data.folder(), "--workers", "3", "--database", database, "--epochs", "3"])
    };
    let (global, local) = (train("global"), train("local"));
    let nodes: BTreeSet<_> = workers(&local).iter().map(|worker| worker["node"].as_str().unwrap()).collect();
    assert_eq!(nodes, BTreeSet::from(["node-0", "node-1", "node-2"]), "{local}");
    assert!(workers(&local).iter().all(|worker| worker["database"] == "local"), "{local}");
    let figure = |report: &Value, name: &str| report[name].as_f64().unwrap();
    assert_eq!(global["bytes_to_global"], global["bytes_pushed"], "{global}");
    assert_eq!(global["synchronizations"], 0, "{global}");
    let ratio = figure(&local, "bytes_to_global") / figure(&global, "bytes_to_global");
    assert!(ratio > 0.0 && ratio <= 1.0 / 3.0, "{ratio}: {local}");
    assert!(figure(&local, "synchronizations") > 9.0, "{local}");
    assert!(figure(&local, "bytes_from_global") > figure(&local, "bytes_to_global"), "{local}");
    let difference = figure(&local, "test_accuracy") - figure(&global, "test_accuracy");
    assert!(difference.abs() <= 0.015, "{local} {global}");
    let table = place.downpour(&["report"]).succeeded();
    assert!(table.contains("synchronizations"), "{table}");
}

/// Two replicas on each of two nodes: the one that is killed may be the one that synchronizes.
#[test]
fn whichever_replica_is_killed_each_image_counts_once() {
    let changes =
        [(r#"max_inflight: "8""#, r#"max_inflight: "2""#), (r#"scale.min: "2""#, r#"scale.min: "4""#)];
    let (platform, data) = (Platform::on_nodes(2, &stack_with(&changes)), Data::find());
    for victim in 0..3 {
        let run = platform.set_up(&settings(&data, 3));
        platform.await_progress(&run, victim).signal(Signal::KILL);
        platform.await_end(&run);
        let report = platform.report(&run);
        assert_eq!(report["samples"], EPOCHS * data.train_images, "{report}");
        assert!(workers(&report).iter().all(|worker| worker["epochs"] == EPOCHS), "{report}");
        let handovers: u64 =
            workers(&report).iter().map(|worker| worker["handovers"].as_u64().unwrap()).sum();
        assert!(handovers >= 1, "{report}");
        assert!(report["test_accuracy"].as_f64().unwrap() > 0.8, "{report}");
    }
}

/// The only replica of a node is scaled away: its worker goes on elsewhere.
#[test]
fn a_worker_whose_node_is_left_goes_on_on_another() {
    let (platform, data) = (Platform::on_nodes(2, &stack_with(&[])), Data::find());
    let run = platform.set_up(&settings(&data, 2));
    for worker in 0..2 {
        platform.await_progress(&run, worker);
    }
    platform.scale("emnist-train", 1);
    platform.await_end(&run);
    let report = platform.report(&run);
    assert_eq!(report["samples"], EPOCHS * data.train_images, "{report}");
    assert_eq!(workers(&report)[0]["node"], workers(&report)[1]["node"], "{report}");
}

#[test]
fn without_a_store_on_its_node_a_worker_uses_the_global_one_and_says_so() {
    let (platform, data) = (Platform::new(), Data::find());
    let mut settings = settings(&data, 2);
    settings["iterations"] = 1.into();
    let run = platform.set_up(&settings);
    platform.await_end(&run);
    let report = platform.report(&run);
    assert_eq!(report["database"], "local", "{report}");
    assert!(workers(&report).iter().all(|worker| worker["database"] == "global"), "{report}");
    assert_eq!(report["bytes_to_global"], report["bytes_pushed"], "{report}");
    let logs = platform.logs("emnist-train");
    assert!(logs.contains("no store on this node"), "{logs}");
    let table = platform.place.downpour(&["report", run.name()]).succeeded();
    assert!(table.contains("found no store on"), "{table}");
}
