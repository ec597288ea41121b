//! What stays of a run when everything was shut down: `runs`, `status`, `report`, `predict`, `export`,
//! `delete`, on a run that was trained for real.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may stop at the first surprise, too"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{TestEnv, idx};
use local_redis::{LocalRedis, Options};
use serde_json::Value;
use sgd_lib::dataset::{Dataset, Transpose, find};
use sgd_lib::downpour::{Identity, Run, RunConfig, Surroundings, Worker};
use sgd_lib::store::{Claim, RedisStore};

const CLASSES: u8 = 4;

struct Calm;

impl Surroundings for Calm {
    fn must_leave(&self) -> bool {
        false
    }
    fn recruit(&self, _worker: u32) {}
}

/// Images of 2 × 2 pixels, the one bright pixel of which says the class.
fn write_dataset(env: &TestEnv, folder: &str) {
    for (split, count) in [("train", 400_u32), ("t10k", 40)] {
        let labels: Vec<u8> = (0..count).map(|image| (image % u32::from(CLASSES)) as u8).collect();
        let images: Vec<u8> =
            labels.iter().flat_map(|&label| (0..4).map(move |p| if p == label { 255 } else { 0 })).collect();
        env.write(&format!("{folder}/{split}-images-idx3-ubyte"), &idx(&[count, 2, 2], &images));
        env.write(&format!("{folder}/{split}-labels-idx1-ubyte"), &idx(&[count], &labels));
    }
}

/// Trains one worker into the private Redis of the state folder, and shuts that down again.
fn train(env: &TestEnv, name: &str) {
    write_dataset(env, "tiny");
    let source = find(&env.path("tiny"), None).unwrap();
    let data = Dataset::prepare(&source, &env.path("prepared"), Transpose::Auto).unwrap();
    let redis = LocalRedis::start(Options::in_dir(env.state().join("redis"))).unwrap();
    let store = Arc::new(RedisStore::open(redis.url()).unwrap());
    let config = RunConfig { workers: 1, epochs: 20, dropout: 0.0, ..RunConfig::for_data(&data).unwrap() };
    let run = Run::create(store, name, config).unwrap();
    run.store().fix_workers(run.keys(), 1).unwrap();
    let Claim::Granted { lease, resumed, .. } = run.claim("0", Some(0), Duration::from_secs(5)).unwrap()
    else {
        panic!("no place");
    };
    let here = Identity { node: "node-a".to_owned(), pod: "pod-a".to_owned() };
    Worker::new(&run, lease, resumed, &here, data.train(), data.test(), &Calm).unwrap().train().unwrap();
    redis.stop().unwrap();
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_finished_run_is_listed_and_reported() {
    let env = TestEnv::new();
    train(&env, "tiny-1");
    let runs = json(&env.run(&["runs", "--json"]).succeeded());
    assert_eq!(runs[0]["run"], "tiny-1");
    assert_eq!(runs[0]["state"], "finished");
    assert!(env.run(&["runs"]).succeeded().contains("tiny-1"));

    let report = json(&env.run(&["report", "--json"]).succeeded());
    assert_eq!(report["workers"][0]["node"], "node-a");
    assert_eq!(report["samples"], 8000);
    assert_eq!(report["epochs"], 20);
    assert_eq!(report["test_accuracy"], 1.0);
    assert_eq!(report["reached_target"], false);
    let text = env.run(&["report", "tiny-1"]).succeeded();
    assert!(text.contains("| Worker | Node "), "{text}");
    assert!(text.contains("test accuracy 100.00 %"), "{text}");
    assert!(env.run(&["status"]).succeeded().contains("finished"));
}

#[test]
fn a_finished_network_predicts_and_is_exported() {
    let env = TestEnv::new();
    train(&env, "tiny-2");
    let (images, labels) = ("tiny/t10k-images-idx3-ubyte", "tiny/t10k-labels-idx1-ubyte");
    let answer = json(&env.run(&["predict", images, "--labels", labels, "--json"]).succeeded());
    assert_eq!(answer["images"], 40);
    assert_eq!(answer["accuracy"], 1.0);
    assert_eq!(answer["predictions"][6], 2);
    // Transposed, the second and third class change places.
    let turned =
        env.run(&["predict", images, "--labels", labels, "--transposed", "yes", "--json"]).succeeded();
    assert_eq!(json(&turned)["accuracy"], 0.5);
    let text = env.run(&["predict", images]).succeeded();
    assert!(text.starts_with("tiny/t10k-images-idx3-ubyte image 0: 0 ("), "{text}");

    let files = json(&env.run(&["export", "--json", "-o", "network"]).succeeded());
    assert_eq!(files["parameters"], "network.safetensors");
    let layers = json(&std::fs::read_to_string(env.path("network.json")).unwrap());
    assert_eq!(layers["inputs"], 4);
    assert_eq!(layers["metadata"]["run"], "tiny-2");
    assert!(env.path("network.safetensors").metadata().unwrap().len() > 4 * 904);
}

#[test]
fn wrong_images_and_labels_are_named() {
    let env = TestEnv::new();
    train(&env, "tiny-3");
    let wrong_size = env.write("three", &idx(&[1, 3, 3], &[0; 9]));
    let message = env.run(&["predict", wrong_size.to_str().unwrap()]).failed(1);
    assert!(message.contains("images of 3×3 pixels; the network takes 2×2"), "{message}");
    env.write("one", &idx(&[1, 2, 2], &[0; 4]));
    env.write("many-labels", &idx(&[2], &[0, 1]));
    let message = env.run(&["predict", "one", "--labels", "many-labels"]).failed(1);
    assert!(message.contains("many-labels holds 2 labels; there are 1 images"), "{message}");
    env.write("odd-label", &idx(&[1], &[9]));
    let message = env.run(&["predict", "one", "--labels", "odd-label"]).failed(1);
    assert!(message.contains("found the label 9; the network knows 0 to 3"), "{message}");
}

#[test]
fn a_run_is_stopped_and_deleted_by_name() {
    let env = TestEnv::new();
    train(&env, "tiny-4");
    // The reason that came first stands.
    assert_eq!(json(&env.run(&["stop", "tiny-4", "--json"]).succeeded())["stop"], "epochs");
    env.run(&["delete", "tiny-4"]).succeeded();
    let message = env.run(&["report", "tiny-4"]).failed(1);
    assert!(message.contains("tiny-4"), "{message}");
    assert_eq!(env.run(&["runs", "--json"]).succeeded(), "[]\n");
}

#[test]
fn without_any_run_the_error_says_how_to_make_one() {
    let env = TestEnv::new();
    for command in ["runs", "status", "report", "export"] {
        let message = env.run(&[command]).failed(1);
        assert!(message.contains("downpour train"), "{message}");
    }
}
