//! Functions whose time limit is far shorter than the training: each invocation flushes, leaves what only it knows, and
//! hands over to the next one.

use scenarios::{Data, Place, Platform, stack_with};
use serde_json::{Value, json};

const WORKERS: u64 = 2;

/// Trains with these settings beside those that all share, where a train function may run for `limit`; the report.
fn trained(limit: &str, data: &Data, settings: &Value) -> Value {
    let stack = stack_with(&[("exec_timeout: 1h", &format!("exec_timeout: {limit}"))]);
    let platform = Platform::start(Place::new(), &stack);
    let mut body = json!({
        "data_dir": data.folder(), "number_of_workers": WORKERS, "lr_schedule": "cosine", "target_accuracy": "none",
    });
    for (name, value) in settings.as_object().unwrap() {
        body[name] = value.clone();
    }
    let run = platform.set_up(&body);
    platform.await_end(&run);
    platform.report(&run)
}

/// Each image of each epoch is counted once.
fn is_exact(report: &Value, epochs: u64, data: &Data) {
    assert_eq!(report["samples"], epochs * data.train_images, "{report}");
    let workers = report["workers"].as_array().unwrap();
    assert_eq!(workers.len() as u64, WORKERS, "{report}");
    assert!(workers.iter().all(|worker| worker["epochs"] == epochs), "{report}");
}

/// How often each worker was handed over.
fn handovers(report: &Value) -> Vec<u64> {
    let workers = report["workers"].as_array().unwrap();
    workers.iter().map(|worker| worker["handovers"].as_u64().unwrap()).collect()
}

/// Compares a run of short invocations with one of which each worker was one invocation.
fn compares(limit: &str, epochs: u64, least: u64, settings: Value) {
    let data = Data::find();
    let mut settings = settings;
    settings["iterations"] = epochs.into();
    let undisturbed = trained("1h", &data, &settings);
    is_exact(&undisturbed, epochs, &data);
    assert_eq!(handovers(&undisturbed), [0, 0], "{undisturbed}");
    let disturbed = trained(limit, &data, &settings);
    is_exact(&disturbed, epochs, &data);
    assert!(handovers(&disturbed).iter().all(|handovers| *handovers >= least), "{disturbed}");
    let accuracy = |report: &Value| report["test_accuracy"].as_f64().unwrap();
    let (with, without) = (accuracy(&disturbed), accuracy(&undisturbed));
    println!("{settings}: accuracy {with} after {:?} handovers, {without} without", handovers(&disturbed));
    assert!((with - without).abs() <= 0.01, "disturbed: {disturbed}, undisturbed: {undisturbed}");
}

#[test]
fn invocations_far_shorter_than_the_training_train_the_same() {
    // Momentum lives in the optimizer alone, and what int8 rounds away in the worker.
    compares("600ms", 12, 5, json!({"optimizer": "momentum", "codec": "int8"}));
}

#[test]
fn adagrad_and_what_topk_holds_back_come_through_handovers() {
    compares("600ms", 12, 5, json!({"optimizer": "adagrad", "codec": "topk", "hidden_size": "200"}));
}

/// `cargo test --release -p scenarios minute -- --ignored --nocapture` says what it found.
#[test]
#[ignore = "takes three minutes"]
fn a_training_of_a_minute_comes_through_limits_of_two_seconds() {
    compares("2s", 40, 15, json!({"optimizer": "momentum", "codec": "int8", "hidden_size": "400"}));
}
