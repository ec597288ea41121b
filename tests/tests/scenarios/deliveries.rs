//! Calls that are delivered twice, at once, or to more places than there are.

use scenarios::{Data, Place, Platform, stack_with};
use serde_json::{Value, json};
use sgd_lib::downpour::{Event, Run};
use std::time::Duration;

/// Settings of a run that goes on until it is stopped.
fn endless() -> Value {
    json!({
        "data_dir": Data::find().folder(), "number_of_workers": 2, "iterations": 100_000,
        "alpha": 0.01, "target_accuracy": "none",
    })
}

fn started(run: &Run) -> usize {
    let events = run.events("0", Duration::from_millis(1)).unwrap();
    events.iter().filter(|(_, event)| matches!(event, Event::Started { .. })).count()
}

#[test]
fn an_invocation_that_is_delivered_twice_starts_no_second_run_and_no_second_worker() {
    let platform = Platform::new();
    let body = endless().to_string();
    let call = (body.as_bytes(), Some("a-setup"));
    let mut answers = platform.call_all("emnist-setup", &[call, call]);
    answers.push(platform.call("emnist-setup", body.as_bytes(), Some("a-setup")));
    let runs: Vec<Value> = answers.iter().map(|answer| answer.json(200)["run"].clone()).collect();
    assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    assert_eq!(platform.place.json(&["runs"]).as_array().unwrap().len(), 1);

    let run = platform.run(runs[0].as_str().unwrap());
    for worker in 0..2 {
        platform.await_progress(&run, worker);
    }
    // What setup sent for each worker, once more.
    let mut places = Vec::new();
    for number in 0..2 {
        let place = format!("{}-{number}", run.name());
        let order = json!({"run": run.name(), "place": place}).to_string();
        places
            .push(platform.call("emnist-train", order.as_bytes(), Some(&place)).json(200)["worker"].clone());
    }
    places.sort_by_key(|worker| worker.as_u64());
    assert_eq!(places, [0, 1]);
    // A call of its own finds no place.
    let order = json!({"run": run.name(), "place": "one-too-many"}).to_string();
    let refused = platform.call("emnist-train", order.as_bytes(), None);
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(started(&run), 2);
    run.stop().unwrap();
    assert_eq!(platform.await_end(&run).workers.len(), 2);
}

#[test]
fn two_setups_at_once_set_up_two_runs_that_both_finish() {
    let (platform, data) = (Platform::new(), Data::find());
    let body = json!({"data_dir": data.folder(), "iterations": 1, "target_accuracy": "none"}).to_string();
    let answers = platform.call_all("emnist-setup", &[(body.as_bytes(), None), (body.as_bytes(), None)]);
    let runs: Vec<Run> =
        answers.iter().map(|answer| platform.run(answer.json(200)["run"].as_str().unwrap())).collect();
    assert_ne!(runs[0].name(), runs[1].name());
    for run in &runs {
        platform.await_end(run);
        let report = platform.report(run);
        assert_eq!(report["samples"], data.train_images, "{report}");
        assert_eq!(report["workers"].as_array().unwrap().len(), 2, "{report}");
    }
}

#[test]
fn a_worker_more_than_there_are_places_is_left_out_and_answer_and_report_say_so() {
    let stack = stack_with(&[(r#"max_inflight: "8""#, r#"max_inflight: "1""#)]);
    let (platform, data) = (Platform::start(Place::new(), &stack), Data::find());
    let body = json!({
        "data_dir": data.folder(), "number_of_workers": 3, "iterations": 1, "target_accuracy": "none",
    });
    let answer = platform.call("emnist-setup", body.to_string().as_bytes(), None).json(200);
    assert_eq!(answer["workers"], 2, "{answer}");
    assert_eq!(answer["workers_requested"], 3, "{answer}");
    let left_out = answer["left_out"].as_array().unwrap();
    assert_eq!(left_out.len(), 1, "{answer}");
    assert!(left_out[0]["why"].as_str().unwrap().contains("429"), "{answer}");

    let run = platform.run(answer["run"].as_str().unwrap());
    platform.await_end(&run);
    let report = platform.report(&run);
    assert_eq!(report["workers_requested"], 3);
    assert_eq!(report["workers"].as_array().unwrap().len(), 2);
    // The two share all of the data.
    assert_eq!(report["samples"], data.train_images);
    let text = platform.place.downpour(&["report", run.name()]).succeeded();
    assert!(text.contains("1 of 3 workers have no part in it"), "{text}");
}
