//! Runs and commands that somebody ends before their time.

use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use scenarios::{Background, Data, Place, Platform, eventually};
use serde_json::json;

/// Flags of a run that goes on until it is stopped.
const ENDLESS: [&str; 4] = ["--epochs", "100000", "--learning-rate", "0.01"];

/// A `downpour train` that is in the middle of such a run.
fn training(place: &Place) -> Background {
    let data = Data::find();
    let mut train =
        place.background(&[&["train", "--json", "--data-dir", data.folder()], &ENDLESS[..]].concat());
    eventually("the training makes progress", || {
        assert!(!train.has_ended(), "{}", train.messages());
        train.lines().into_iter().find(|event| event["event"] == "progress")
    });
    train
}

#[test]
fn a_run_that_is_stopped_keeps_what_was_pushed_and_can_be_deleted() {
    let (place, data) = (Place::new(), Data::find());
    let mut train = training(&place);
    let run = place.json(&["runs"])[0]["run"].as_str().unwrap().to_owned();
    let refused = place.downpour(&["delete", &run]).failed(1);
    assert!(refused.contains(&run) && refused.contains("stop"), "{refused}");
    assert_eq!(place.json(&["stop", &run])["stop"], "requested");

    let finished = train.wait();
    let last = finished.lines().pop().unwrap();
    finished.succeeded();
    assert_eq!(last["event"], "finished");
    assert_eq!(last["reached_target"], false);
    // That of stack.yml is not for this command.
    assert!(last["target_accuracy"].is_null(), "{last}");
    assert!(last["samples"].as_u64().unwrap() > 0, "{last}");
    let (images, labels) = (data.images.to_str().unwrap(), data.labels.to_str().unwrap());
    let answer = place.json(&["predict", "--run", &run, images, "--labels", labels]);
    assert_eq!(answer["accuracy"], last["test_accuracy"]);

    place.downpour(&["stop", "no-such-run"]).failed(1);
    place.downpour(&["stop"]).failed(2);
    assert!(place.json(&["delete", &run])["deleted_keys"].as_u64().unwrap() > 0);
    place.downpour(&["report", &run]).failed(1);
    assert_eq!(place.json(&["runs"]), json!([]));
}

/// Whether a key is of those that stay after a run.
fn is_record(key: &str) -> bool {
    ["config", "control", "events", "model", "worker"]
        .iter()
        .any(|record| key.contains(&format!("}}:{record}")))
}

#[test]
fn a_run_that_is_deleted_leaves_no_key() {
    let (platform, data) = (Platform::new(), Data::find());
    let settings = |seed: u64| json!({"data_dir": data.folder(), "target_accuracy": 0.3, "seed": seed});
    let (deleted, kept) = (platform.set_up(&settings(1)), platform.set_up(&settings(2)));
    for run in [&deleted, &kept] {
        platform.await_end(run);
    }
    let keys = |run: &str| platform.keys(&format!("*{run}*"));
    for run in [&deleted, &kept] {
        // The last replica to leave deletes what only training needs.
        eventually("the log is deleted", || keys(run.name()).iter().all(|key| is_record(key)).then_some(()));
    }
    assert!(!keys(deleted.name()).is_empty());
    let others = keys(kept.name());
    platform.place.downpour(&["delete", deleted.name()]).succeeded();
    assert_eq!(keys(deleted.name()), [""; 0]);
    assert_eq!(keys(kept.name()), others);
    assert_eq!(platform.place.json(&["runs"])[0]["run"], kept.name());
}

#[test]
fn ctrl_c_in_the_middle_of_a_training_stops_the_run_and_leaves_no_process() {
    let place = Place::new();
    let mut train = training(&place);
    train.signal(Signal::INT);
    let finished = train.wait();
    let message = finished.failed(1);
    assert!(message.contains("interrupted"), "{message}");
    assert!(place.processes().is_empty(), "{:#?}", place.processes());
    let run = &place.json(&["runs"])[0];
    assert_eq!(run["state"], "finished", "{run}");
    assert!(run["test_accuracy"].is_number(), "{run}");
}

#[test]
fn an_end_at_any_moment_of_the_start_leaves_no_process() {
    let (place, data) = (Place::new(), Data::find());
    for milliseconds in [0, 5, 20, 40, 80, 160, 320, 640] {
        let flags = ["train", "--json", "--data-dir", data.folder()];
        let mut train = place.background(&[&flags, &ENDLESS[..]].concat());
        thread::sleep(Duration::from_millis(milliseconds));
        // Not Ctrl-C's: whoever is started by a script in the background ignores that until it listens.
        train.signal(Signal::TERM);
        let finished = train.wait();
        // Before it listens for signals, the signal itself ends it.
        assert!(matches!(finished.code, Some(1) | None), "after {milliseconds} ms: {finished:?}");
        let left = if finished.code.is_none() { place.await_silence() } else { place.processes() };
        assert!(left.is_empty(), "after {milliseconds} ms: {left:#?}");
    }
}

#[test]
fn a_platform_that_is_killed_takes_everything_along_and_its_runs_are_there_at_the_next_start() {
    let (platform, data) = (Platform::new(), Data::find());
    let settings = json!({
        "data_dir": data.folder(), "iterations": 100_000, "alpha": 0.01, "target_accuracy": "none",
    });
    let run = platform.set_up(&settings);
    platform.await_progress(&run, 0);
    let place = platform.kill();
    let left = place.await_silence();
    assert!(left.is_empty(), "{left:#?}");
    let found = place.json(&["status"]);
    assert_eq!(found["run"], run.name());
    let finished = place.train(&["--data-dir", data.folder(), "--target-accuracy", "0.5"]);
    assert_ne!(finished["run"], run.name());
    assert_eq!(place.json(&["runs"]).as_array().unwrap().len(), 2);
}
