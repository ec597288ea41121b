//! `downpour data`, and what every command has in common.
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise, too")]

mod common;

use std::net::TcpListener;

use common::{Finished, TestEnv, idx};
use local_redis::{LocalRedis, Options};

/// Writes a data set of three training images and one test image, 2 × 2 pixels, 3 classes.
fn write_dataset(env: &TestEnv, folder: &str) {
    let images = |count: u8| idx(&[u32::from(count), 2, 2], &(0..4 * count).collect::<Vec<_>>());
    env.write(&format!("{folder}/train-images-idx3-ubyte"), &images(3));
    env.write(&format!("{folder}/train-labels-idx1-ubyte"), &idx(&[3], &[0, 1, 2]));
    env.write(&format!("{folder}/t10k-images-idx3-ubyte"), &images(1));
    env.write(&format!("{folder}/t10k-labels-idx1-ubyte"), &idx(&[1], &[2]));
}

#[test]
fn help_shows_examples_and_version_a_version() {
    let env = TestEnv::new();
    for command in
        [&["--help"][..], &["data", "--help"], &["data", "get", "--help"], &["data", "info", "--help"]]
    {
        let help = env.run(command).succeeded();
        assert!(help.contains("Usage: downpour"), "{help}");
        assert!(help.contains("--json"), "{help}");
    }
    assert!(env.run(&["--help"]).succeeded().contains("Examples:"));
    assert!(env.run(&["--version"]).succeeded().starts_with("downpour "));
}

#[test]
fn bad_arguments_exit_with_two() {
    let env = TestEnv::new();
    assert!(env.run(&["--nonsense"]).failed(2).contains("--nonsense"));
    let message = env.run(&["data", "get", "cifar-10"]).failed(2);
    assert!(message.starts_with("error: ") && message.contains("\"cifar-10\""), "{message}");
    assert!(message.contains("emnist-bymerge"), "{message}");
}

#[test]
fn a_folder_is_described_in_text_and_json() {
    let env = TestEnv::new();
    write_dataset(&env, "tiny");
    let text = env.run(&["data", "info", "tiny"]).succeeded();
    assert!(text.contains("3 images to train on, 1 to test on, of 2×2 pixels"), "{text}");
    let json = env.run(&["data", "info", "tiny", "--json"]).succeeded();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["train_images"], 3);
    assert_eq!(json["test_images"], 1);
    assert_eq!(json["classes"], 3);
    assert_eq!(json["transposed"], false);
    assert_eq!(json["files"].as_array().unwrap().len(), 4);
}

#[test]
fn a_folder_without_data_and_damaged_files_are_failures_that_name_them() {
    let env = TestEnv::new();
    let message = env.run(&["data", "info", "nowhere"]).failed(1);
    assert!(message.starts_with("error: ") && message.contains("nowhere"), "{message}");
    write_dataset(&env, "damaged");
    env.write("damaged/train-images-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 0, 3]);
    let message = env.run(&["data", "info", "damaged"]).failed(1);
    assert!(message.contains("train-images-idx3-ubyte"), "{message}");
}

#[test]
fn a_data_set_is_pushed_once_with_the_password_of_a_secret() {
    let env = TestEnv::new();
    write_dataset(&env, "tiny");
    env.write("secrets/redis-password", b"hush\n");
    // As in the manifests: who gives no name is the default user.
    let config = vec!["user functions on >hush ~dp:* +@all".to_owned()];
    let redis = LocalRedis::start(Options { config, ..Options::default() }).unwrap();
    let url = redis.url().replace("redis://", "redis://functions@");
    let push = |more: &[&str]| {
        let mut command = env.command(&[&["data", "push", "tiny", "--store-url", &url], more].concat());
        command.env("store_password_secret", "redis-password").env("secret_mount_path", env.path("secrets"));
        Finished::new(&command.output().unwrap())
    };
    let first: serde_json::Value = serde_json::from_str(&push(&["--json"]).succeeded()).unwrap();
    assert_eq!((&first["chunks"], &first["chunks_written"]), (&1.into(), &1.into()), "{first}");
    assert_eq!((&first["train_images"], &first["test_images"]), (&3.into(), &1.into()), "{first}");
    assert!(push(&[]).succeeded().contains("all of them there already"));
    env.write("secrets/redis-password", b"wrong\n");
    let message = push(&[]).failed(1);
    assert!(message.contains("AuthenticationFailed") && !message.contains("wrong"), "{message}");
}

#[test]
fn a_push_without_a_store_or_without_data_says_what_to_give() {
    let env = TestEnv::new();
    write_dataset(&env, "tiny");
    assert!(env.run(&["data", "push", "tiny"]).failed(1).contains("--store-url"));
    assert!(env.run(&["data", "push", "nowhere"]).failed(1).contains("nowhere"));
    let message = env.run(&["data", "push", "tiny", "--store-url", "http://redis"]).failed(2);
    assert!(message.contains("--store-url") && message.contains("redis[s]://"), "{message}");
    assert!(env.run(&["data", "push", "--dataset", "cifar-10"]).failed(2).contains("cifar-10"));
}

#[test]
fn offline_the_error_says_which_files_to_put_where() {
    let env = TestEnv::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let message = env.run(&["data", "get", "emnist-letters", "--mirror", &mirror]).failed(1);
    let file = env.state().join("data/emnist-letters/emnist-letters-train-images-idx3-ubyte.gz");
    let archive = env.state().join("data/gzip.zip");
    for wanted in [&mirror, file.to_str().unwrap(), archive.to_str().unwrap(), "https://biometrics.nist.gov/"]
    {
        assert!(message.contains(wanted), "{wanted} is not in: {message}");
    }
    // Whoever did so needs no network any more.
    for end in ["train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1"] {
        env.write(&format!("state/data/emnist-letters/emnist-letters-{end}-ubyte.gz"), b"");
    }
    env.write("state/data/emnist-letters/emnist-letters-mapping.txt", b"");
    let answer = env.run(&["data", "get", "emnist-letters", "--mirror", &mirror, "--json"]).succeeded();
    assert!(answer.contains("\"dataset\":\"emnist-letters\""), "{answer}");
}
