//! Replicas that end, one way or another, while a worker trains in them.

use rustix::process::Signal;
use scenarios::{Data, Place, Platform, eventually, stack_with};
use serde_json::{Value, json};
use sgd_lib::downpour::Run;

/// Seconds of training: enough for a signal to arrive in the middle of it on a busy machine.
const EPOCHS: u64 = 12;

fn settings(data: &Data) -> Value {
    json!({
        "data_dir": data.folder(), "iterations": EPOCHS, "lr_schedule": "cosine", "target_accuracy": "none",
    })
}

fn accuracy(report: &Value) -> f64 {
    report["test_accuracy"].as_f64().unwrap()
}

/// The run's end: each image of each epoch counted once, by two workers of which one changed hands.
fn finishes_exactly(platform: &Platform, run: &Run, data: &Data) -> Value {
    platform.await_end(run);
    let report = platform.report(run);
    assert_eq!(report["samples"], EPOCHS * data.train_images, "{report}");
    let workers = report["workers"].as_array().unwrap();
    assert_eq!(workers.len(), 2, "{report}");
    assert!(workers.iter().all(|worker| worker["epochs"] == EPOCHS), "{report}");
    report
}

fn handovers(report: &Value) -> u64 {
    report["workers"].as_array().unwrap().iter().map(|worker| worker["handovers"].as_u64().unwrap()).sum()
}

/// Kills the replica of worker `victim`, and compares with a run that nobody disturbed.
fn killed(victim: u32) {
    // A replica for each worker, and one to take over.
    let changes =
        [(r#"max_inflight: "8""#, r#"max_inflight: "1""#), (r#"scale.min: "2""#, r#"scale.min: "3""#)];
    let (platform, data) = (Platform::start(Place::new(), &stack_with(&changes)), Data::find());
    let undisturbed = platform.set_up(&settings(&data));
    let undisturbed = finishes_exactly(&platform, &undisturbed, &data);
    assert_eq!(handovers(&undisturbed), 0, "{undisturbed}");

    let run = platform.set_up(&settings(&data));
    platform.await_progress(&run, victim).signal(Signal::KILL);
    let report = finishes_exactly(&platform, &run, &data);
    assert!(handovers(&report) >= 1, "{report}");
    let difference = accuracy(&report) - accuracy(&undisturbed);
    assert!(difference.abs() <= 0.01, "disturbed: {report}, undisturbed: {undisturbed}");
}

#[test]
fn a_worker_whose_replica_is_killed_is_taken_over_from_the_log() {
    killed(1);
}

#[test]
fn the_worker_that_evaluates_is_taken_over_like_any_other() {
    killed(0);
}

#[test]
fn a_worker_whose_replica_is_told_to_end_flushes_and_hands_over() {
    let (platform, data) = (Platform::new(), Data::find());
    let run = platform.set_up(&settings(&data));
    let replica = platform.await_progress(&run, 1);
    replica.signal(Signal::TERM);
    let report = finishes_exactly(&platform, &run, &data);
    assert!(handovers(&report) >= 1, "{report}");
    let logs = platform.logs("emnist-train");
    assert!(logs.contains("hands over"), "{logs}");
}

#[test]
fn a_function_that_is_scaled_down_during_a_run_goes_on_with_the_replicas_left() {
    let (platform, data) = (Platform::new(), Data::find());
    let run = platform.set_up(&settings(&data));
    for worker in 0..2 {
        platform.await_progress(&run, worker);
    }
    platform.scale("emnist-train", 1);
    let report = finishes_exactly(&platform, &run, &data);
    assert!(handovers(&report) >= 1, "{report}");
    // Both shards ended in the replica that stayed.
    assert_eq!(report["workers"][0]["pod"], report["workers"][1]["pod"], "{report}");
}

/// Nobody else is there to notice; the command that waits for the run does.
#[test]
fn a_run_whose_only_worker_is_killed_goes_on_with_another() {
    let (place, data) = (Place::new(), Data::find());
    let epochs = EPOCHS.to_string();
    let flags = ["train", "--json", "--data-dir", data.folder(), "--workers", "1", "--epochs", &epochs];
    let mut train = place.background(&flags);
    let pod = eventually("the worker makes progress", || {
        let lines = train.lines();
        lines.iter().find(|event| event["event"] == "progress")?;
        Some(lines.iter().find(|event| event["event"] == "started")?["pod"].as_str()?.to_owned())
    });
    let replica = place.processes().into_iter().find(|process| process.is_pod(&pod));
    replica.expect("the replica is a process of this place").signal(Signal::KILL);
    let finished = train.wait();
    let last = finished.lines().pop().unwrap();
    finished.succeeded();
    assert_eq!(last["samples"], EPOCHS * data.train_images, "{last}");
    assert!(handovers(&last) >= 1, "{last}");
}
