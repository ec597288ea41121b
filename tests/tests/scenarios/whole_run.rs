//! One training run from the first process to the last figure, and what stays of it.

use std::fs;

use scenarios::{Data, Place};
use serde_json::Value;

/// What the last line of `downpour train --json` has to say.
const FIGURES: [&str; 26] = [
    "event",
    "run",
    "dataset",
    "workers_requested",
    "train_type",
    "database",
    "algorithm",
    "batch_size",
    "n_fetch",
    "n_push",
    "codec",
    "total_s",
    "wall_s",
    "train_s",
    "test_accuracy",
    "target_accuracy",
    "reached_target",
    "epochs",
    "samples",
    "samples_per_s",
    "bytes_pushed",
    "bytes_fetched",
    "bytes_to_global",
    "bytes_from_global",
    "synchronizations",
    "workers",
];

/// What it has to say of each worker.
const WORKER_FIGURES: [&str; 14] = [
    "worker",
    "node",
    "pod",
    "database",
    "time_s",
    "epochs",
    "minibatches",
    "samples",
    "pushes",
    "fetches",
    "staleness_mean",
    "staleness_max",
    "invocations",
    "handovers",
];

#[test]
fn two_workers_reach_the_target_and_the_run_stays_usable_after_everything_was_shut_down() {
    let (place, data) = (Place::new(), Data::find());
    let flags = ["--data-dir", data.folder(), "--workers", "2", "--target-accuracy", "0.75"];
    let finished = place.train(&flags);
    assert!(place.processes().is_empty(), "{:#?}", place.processes());
    check_figures(&finished, &data);

    let run = finished["run"].as_str().unwrap();
    for command in [&["status"][..], &["report"], &["report", run]] {
        let report = place.json(command);
        assert_eq!(report["run"], run);
        assert_eq!(report["state"], "finished");
        for figure in ["test_accuracy", "samples", "train_s", "workers"] {
            assert_eq!(report[figure], finished[figure], "{command:?} {figure}");
        }
    }
    assert_eq!(place.json(&["runs"])[0]["run"], run);
    let table = place.downpour(&["report"]).succeeded();
    assert!(table.contains("| Worker | Node"), "{table}");
    predicts_as_reported(&place, &finished, &data);
    is_exported(&place, run, &data);
    assert!(place.processes().is_empty(), "{:#?}", place.processes());
}

fn check_figures(finished: &Value, data: &Data) {
    for figure in FIGURES {
        assert!(!finished[figure].is_null(), "no {figure} in {finished}");
    }
    let expected = [
        ("dataset", Value::from(data.name)),
        ("workers_requested", 2.into()),
        ("train_type", 3.into()),
        ("database", "global".into()),
        ("algorithm", "downpour".into()),
        ("batch_size", 32.into()),
        ("n_fetch", 10.into()),
        ("n_push", 10.into()),
        ("target_accuracy", 0.75.into()),
        ("reached_target", true.into()),
    ];
    for (figure, value) in expected {
        assert_eq!(finished[figure], value, "{figure}");
    }
    assert!(finished["test_accuracy"].as_f64().unwrap() >= 0.75, "{finished}");
    // On the whole test set: the accuracy is a whole number of its images.
    let right = finished["test_accuracy"].as_f64().unwrap() * data.test_images as f64;
    assert!((right - right.round()).abs() < 1e-6, "{right} images");
    let workers = finished["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 2);
    let sum: u64 = workers.iter().map(|worker| worker["samples"].as_u64().unwrap()).sum();
    assert_eq!(finished["samples"], sum);
    for worker in workers {
        for figure in WORKER_FIGURES {
            assert!(!worker[figure].is_null(), "no {figure} in {worker}");
        }
        assert_eq!(worker["handovers"], 0, "{worker}");
    }
    // On a busy machine one of them may reach the target before the other has begun.
    for figure in ["pushes", "fetches"] {
        assert!(workers.iter().any(|worker| worker[figure].as_u64().unwrap() > 0), "{finished}");
    }
    assert_ne!(workers[0]["pod"], workers[1]["pod"], "two replicas, a worker each");
}

fn predicts_as_reported(place: &Place, finished: &Value, data: &Data) {
    let (images, labels) = (data.images.to_str().unwrap(), data.labels.to_str().unwrap());
    let answer = place.json(&["predict", images, "--labels", labels]);
    assert_eq!(answer["images"], data.test_images);
    assert_eq!(answer["predictions"].as_array().unwrap().len() as u64, data.test_images);
    assert_eq!(answer["accuracy"], finished["test_accuracy"]);
}

fn is_exported(place: &Place, run: &str, data: &Data) {
    let tensors = place.exported(run);
    let layers: Value =
        serde_json::from_slice(&fs::read(place.path(&format!("{run}.json"))).unwrap()).unwrap();
    let outputs = layers["outputs"].as_u64().unwrap() as usize;
    let shapes: Vec<_> =
        tensors.iter().map(|(name, shape, bytes)| (name.as_str(), shape.clone(), bytes.len())).collect();
    let expected = [
        ("layers.0.bias", vec![100], 400),
        ("layers.0.weight", vec![784, 100], 4 * 78_400),
        ("layers.1.bias", vec![outputs], 4 * outputs),
        ("layers.1.weight", vec![100, outputs], 400 * outputs),
    ];
    assert_eq!(shapes, expected);
    assert_eq!(layers["layers"].as_array().unwrap().len(), 2);
    assert_eq!(layers["metadata"]["dataset"], data.name);
}

#[test]
fn a_single_function_does_everything_in_one_invocation() {
    let (place, data) = (Place::new(), Data::find());
    let finished =
        place.train(&["--data-dir", data.folder(), "--train-type", "1", "--target-accuracy", "0.7"]);
    assert_eq!(finished["train_type"], 1);
    assert_eq!(finished["reached_target"], true);
    assert_eq!(finished["workers"].as_array().unwrap().len(), 1);
    assert!(finished["workers"][0]["pod"].as_str().unwrap().starts_with("emnist-single-"), "{finished}");
    assert_eq!(place.json(&["report"])["test_accuracy"], finished["test_accuracy"]);
}
