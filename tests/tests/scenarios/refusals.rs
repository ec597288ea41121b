//! What setup refuses, and that nothing is left of it.

use std::fs;
use std::path::Path;

use scenarios::{Data, Place, Platform, stack_with};
use serde_json::json;

/// A copy of the data set with one file cut to `bytes`.
fn truncated(platform: &Platform, data: &Data, file: &Path, bytes: usize) -> String {
    let folder = format!("cut-to-{bytes}");
    for entry in fs::read_dir(&data.folder).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if name.ends_with(".gz") {
            let content = fs::read(entry.path()).unwrap();
            let end = if entry.path() == *file { bytes } else { content.len() };
            platform.place.write(&format!("{folder}/{name}"), &content[..end]);
        }
    }
    platform.place.path(&folder).to_str().unwrap().to_owned()
}

fn refused(platform: &Platform, body: &[u8], mentions: &[&str]) {
    let answer = platform.call("emnist-setup", body, None);
    let shown = String::from_utf8_lossy(&body[..body.len().min(200)]);
    assert_eq!(answer.status, 400, "{shown}: {}", answer.text);
    assert_eq!(answer.text.trim_end().lines().count(), 1, "{shown}: {}", answer.text);
    for text in mentions {
        assert!(answer.text.contains(text), "{shown}: no {text:?} in {}", answer.text);
    }
}

#[test]
fn a_request_that_can_not_be_is_refused_with_a_line_that_names_it_and_leaves_nothing() {
    let (platform, data) = (Platform::new(), Data::find());
    let cases: [(&str, &[&str]); 16] = [
        ("{", &["request body"]),
        ("[1]", &["request body"]),
        ("not json", &["request body"]),
        (r#"{"number_of_worker": 2}"#, &["number_of_worker"]),
        (r#"{"number_of_workers": 0}"#, &["number_of_workers", "1 to 64"]),
        (r#"{"number_of_workers": 1e300}"#, &["number_of_workers", "1 to 64"]),
        (r#"{"batch_size": -1}"#, &["batch_size", "-1"]),
        (r#"{"batch_size": 99999999999999999999}"#, &["batch_size"]),
        (r#"{"alpha": "NaN"}"#, &["alpha", "NaN"]),
        (r#"{"alpha": NaN}"#, &["request body"]),
        (r#"{"alpha": 0}"#, &["alpha", "above 0"]),
        (r#"{"target_accuracy": 75}"#, &["target_accuracy", "at most 1"]),
        (r#"{"dropout_percent": 1}"#, &["dropout_percent"]),
        (r#"{"hidden_size": "100,0"}"#, &["hidden_size"]),
        (r#"{"dataset": "cifar-10"}"#, &["dataset", "cifar-10", "fashion-mnist"]),
        (r#"{"data_dir": "/no/such/folder"}"#, &["/no/such/folder"]),
    ];
    for (body, mentions) in cases {
        refused(&platform, body.as_bytes(), mentions);
    }
    for (key, value) in [("pixels_per_image", 1024), ("num_labels", 3)] {
        let body = json!({"data_dir": data.folder(), key: value}).to_string();
        refused(&platform, body.as_bytes(), &[key, &value.to_string(), data.name]);
    }
    for (file, bytes) in [(&data.images, 1000), (&data.labels, 5), (&data.images, 0)] {
        let folder = truncated(&platform, &data, file, bytes);
        let name = file.file_name().unwrap().to_str().unwrap();
        refused(&platform, json!({"data_dir": folder}).to_string().as_bytes(), &[name]);
    }
    assert_eq!(platform.keys("*"), [""; 0]);
    // It still works.
    let run = platform.set_up(&json!({"data_dir": data.folder(), "target_accuracy": 0.3}));
    platform.await_end(&run);
}

#[test]
fn a_body_that_is_too_large_is_refused() {
    // Small enough to be sent before the refusal closes the connection.
    let limit = "exec_timeout: 55s";
    let stack = stack_with(&[(limit, &format!("{limit}\n      max_body_bytes: \"1024\""))]);
    let platform = Platform::start(Place::new(), &stack);
    let answer = platform.call("emnist-setup", &[b' '; 2000], None);
    assert_eq!(answer.status, 413, "{}", answer.text);
    assert_eq!(platform.keys("*"), [""; 0]);
}

#[test]
fn an_order_that_is_none_starts_no_worker() {
    let platform = Platform::new();
    let orders: [(&str, u16, &str); 4] = [
        ("", 400, "wanted is"),
        (r#"{"run": "a", "place": "b", "color": "red"}"#, 400, "color"),
        (r#"{"run": "a}b", "place": "b"}"#, 400, "a}b"),
        (r#"{"run": "no-such-run", "place": "b"}"#, 404, "no-such-run"),
    ];
    for (order, status, mentions) in orders {
        let answer = platform.call("emnist-train", order.as_bytes(), None);
        assert_eq!(answer.status, status, "{order}: {}", answer.text);
        assert!(answer.text.contains(mentions), "{order}: {}", answer.text);
    }
    assert_eq!(platform.keys("*"), [""; 0]);
}

#[test]
fn flags_that_can_not_be_are_bad_arguments() {
    let place = Place::new();
    let cases: [(&[&str], &str); 4] = [
        (&["--workers", "0"], "1 to 64"),
        (&["--learning-rate", "nan"], "nan"),
        (&["--dataset", "cifar-10"], "cifar-10"),
        (&["--speed"], "--speed"),
    ];
    for (flags, mentions) in cases {
        let message = place.downpour(&[&["train"], flags].concat()).failed(2);
        assert!(message.contains(mentions), "{message}");
    }
}
