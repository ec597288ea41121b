//! Commands against a platform that another state folder has, as against one in a cluster.

use scenarios::{Data, Place, Platform};
use serde_json::json;

#[test]
fn a_platform_elsewhere_is_trained_on_watched_and_asked() {
    let (platform, here, data) = (Platform::new(), Place::new(), Data::find());
    let (gateway, store) = (["--gateway", platform.gateway_url()], ["--store-url", &platform.store_url]);
    let flags = ["--data-dir", data.folder(), "--epochs", "1"];
    let finished = here.train(&[&gateway[..], &store, &flags].concat());
    let run = finished["run"].as_str().unwrap();
    assert!(!here.path("state").exists(), "nothing was started here");

    for command in [&["status", run][..], &["report", run], &["report"]] {
        let report = here.json(&[command, &store].concat());
        assert_eq!((&report["run"], &report["state"]), (&json!(run), &json!("finished")), "{report}");
    }
    let images = data.images.to_str().unwrap();
    let labels = data.labels.to_str().unwrap();
    let predicted = here.json(&[&["predict", images, "--labels", labels], &store[..]].concat());
    assert_eq!(predicted["run"], run);
    here.json(&[&["export", "--run", run, "-o", "network"], &store[..]].concat());
    assert!(here.path("network.safetensors").is_file());
    let logs = here.downpour(&[&["logs", "emnist-train"], &gateway[..]].concat()).succeeded();
    assert!(logs.contains(run), "{logs}");
    // Told by variables, as faas-cli and functions are.
    let mut doctor = here.command(&["doctor"]);
    doctor.env("OPENFAAS_URL", gateway[1]).env("store_url", store[1]);
    let output = doctor.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    here.downpour(&[&["stop", run], &store[..]].concat()).succeeded();
    here.downpour(&[&["delete", run], &store[..]].concat()).succeeded();
    assert_eq!(here.json(&[&["runs"], &store[..]].concat()), json!([]));
}

#[test]
fn a_store_that_is_out_of_reach_is_said_before_a_run_begins() {
    let (platform, here) = (Platform::new(), Place::new());
    let store = "http://no.such.redis";
    let message =
        here.downpour(&["train", "--gateway", platform.gateway_url(), "--store-url", store]).failed(2);
    assert!(message.contains("--store-url"), "{message}");
    let store = "redis+unix:///no/such/redis.sock";
    let message =
        here.downpour(&["train", "--gateway", platform.gateway_url(), "--store-url", store]).failed(1);
    assert!(message.contains("must be reachable from here: --store-url"), "{message}");
    assert_eq!(platform.keys("*"), [""; 0]);
}
