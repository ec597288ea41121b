//! Runs whose workers follow the replicas (`number_of_workers=auto`).

use std::collections::BTreeSet;

use rustix::process::Signal;
use scenarios::{Data, Engine, Place, Platform, eventually, stack_with};
use serde_json::{Value, json};
use sgd_lib::downpour::Run;

/// Far more than is done before the last change: nobody has to hurry.
const EPOCHS: u64 = 30;

fn settings(data: &Data) -> Value {
    json!({
        "data_dir": data.folder(), "number_of_workers": "auto", "iterations": EPOCHS, "batch_size": 16,
        "target_accuracy": "none",
    })
}

/// A platform with so many replicas of the train function, of which there may be six.
fn platform(replicas: u32) -> Platform {
    let least = format!(r#"scale.min: "{replicas}""#);
    let changes = [
        (r#"scale.min: "2""#, least.as_str()),
        (r#"com.openfaas.scale.max: "5""#, r#"com.openfaas.scale.max: "6""#),
    ];
    Platform::start(Place::new(), &stack_with(&changes))
}

fn await_workers(run: &Run, wanted: u32) {
    eventually(&format!("{wanted} workers take part"), || {
        let status = run.status().unwrap();
        assert!(status.control.stop.is_none(), "the run ended before that: {:?}", status.changes);
        (status.changes.last().map(|change| change.workers) == Some(wanted)).then_some(())
    });
}

/// Each image of each epoch counted once.
fn finishes_exactly(platform: &Platform, run: &Run, data: &Data) -> Value {
    platform.await_end(run);
    let report = platform.report(run);
    assert_eq!(report["samples"], EPOCHS * data.train_images, "{report}");
    assert_eq!(
        (&report["workers_requested"], &report["epochs"]),
        (&json!("auto"), &json!(EPOCHS)),
        "{report}"
    );
    report
}

fn numbers(report: &Value) -> Vec<u64> {
    let times = report["workers_over_time"].as_array().unwrap();
    times.iter().map(|at| at["workers"].as_u64().unwrap()).collect()
}

#[test]
fn workers_come_and_go_as_the_train_function_is_scaled() {
    let (platform, data) = (platform(1), Data::find());
    let run = platform.set_up(&settings(&data));
    await_workers(&run, 1);
    platform.scale("emnist-train", 6);
    await_workers(&run, 6);
    let together = platform.report(&run);
    let pods = together["workers"].as_array().unwrap().iter().map(|worker| worker["pod"].to_string());
    assert_eq!(pods.collect::<BTreeSet<_>>().len(), 6, "a replica for each: {together}");
    platform.scale("emnist-train", 2);
    await_workers(&run, 2);
    let report = finishes_exactly(&platform, &run, &data);
    assert_eq!(report["workers"].as_array().unwrap().len(), 6, "{report}");
    assert_eq!(numbers(&report), [1, 2, 3, 4, 5, 6, 5, 4, 3, 2], "{report}");
    assert!(report["test_accuracy"].as_f64().unwrap() > 0.8, "{report}");
    let shown = platform.place.downpour(&["report", run.name()]).succeeded();
    assert!(shown.contains("as many as there were ready replicas: "), "{shown}");
}

/// The gateway starts another replica in its place, and that gets a worker, too.
#[test]
fn what_a_killed_replica_has_left_is_done_by_the_others() {
    let (platform, data) = (platform(2), Data::find());
    let run = platform.set_up(&settings(&data));
    await_workers(&run, 2);
    platform.await_progress(&run, 1).signal(Signal::KILL);
    await_workers(&run, 1);
    await_workers(&run, 2);
    let report = finishes_exactly(&platform, &run, &data);
    assert_eq!(report["workers"].as_array().unwrap().len(), 2, "{report}");
}

/// The gateway puts another in its place only when it has ended, so nobody is left who could ask for workers.
#[test]
fn a_run_that_its_only_replica_left_goes_on_where_it_was() {
    let (platform, data) = (platform(1), Data::find());
    let run = platform.set_up(&settings(&data));
    let pod = platform.await_progress_pod(&run, 0);
    platform.replica(&pod).signal(Signal::TERM);
    eventually("another has taken its place", || {
        let replicas = platform.replicas("emnist-train");
        replicas.iter().any(|replica| !replica.is_pod(&pod)).then_some(())
    });
    assert!(run.status().unwrap().control.stop.is_none(), "the run ended before that");
    let again = json!({"run": run.name()}).to_string();
    let answer = platform.call("emnist-setup", again.as_bytes(), None).json(200);
    assert_eq!((&answer["workers"], &answer["workers_requested"]), (&json!(1), &json!("auto")), "{answer}");
    finishes_exactly(&platform, &run, &data);
}

#[test]
fn a_target_is_reached_by_workers_that_follow_the_replicas() {
    let (place, data) = (Place::new(), Data::find());
    let flags = ["--data-dir", data.folder(), "--workers", "auto", "--target-accuracy", "0.75"];
    let finished = place.train(&flags);
    assert_eq!(finished["reached_target"], true, "{finished}");
    assert_eq!(finished["workers"].as_array().unwrap().len(), 2, "{finished}");
    let again = place.downpour(&["report"]).succeeded();
    assert!(again.contains("workers, as many as there were ready replicas: 2"), "{again}");
}

#[test]
fn where_replicas_can_not_be_followed_that_is_said_and_nothing_is_left() {
    let (platform, data) = (Platform::new(), Data::find());
    let refused: [(Value, &[&str]); 5] = [
        (json!({"algorithm": "average"}), &["algorithm average", "downpour or easgd"]),
        (json!({"algorithm": "diloco"}), &["algorithm diloco"]),
        (json!({"database": "local"}), &["database local", "global"]),
        (json!({"train_type": 2}), &["train_type 2", "train_type 3"]),
        (json!({"max_staleness": 4}), &["max_staleness 4"]),
    ];
    for (more, mentions) in refused {
        let mut body = settings(&data);
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = platform.call("emnist-setup", body.to_string().as_bytes(), None);
        assert_eq!(answer.status, 400, "{more}: {}", answer.text);
        for text in ["number_of_workers is auto", "wanted is a number"].iter().chain(mentions) {
            assert!(answer.text.contains(text), "{more}: no {text:?} in {}", answer.text);
        }
    }
    assert_eq!(platform.keys("dp:{*").len(), 0, "{:?}", platform.keys("*"));
}

#[test]
fn replicas_that_no_gateway_counts_can_not_be_followed() {
    let (engine, data) = (Engine::start(1, 1), Data::find());
    let url = engine.setup_url();
    let flags = ["train", "--function-url", &url, "--store-url", engine.store_url(), "--workers", "auto"];
    let message = engine.place.downpour(&[&flags[..], &["--data-dir", data.folder()]].concat()).failed(1);
    assert!(message.contains("number_of_workers is auto, for which OpenFaaS' gateway counts"), "{message}");
}
