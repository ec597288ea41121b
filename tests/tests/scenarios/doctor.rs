//! `downpour doctor` on platforms that are well, and on some that are broken.

use local_redis::{LocalRedis, Options};
use scenarios::{Place, Platform, eventually, stack_with};
use serde_json::Value;

/// What doctor finds with these arguments, and whether it calls that a problem.
fn examined(place: &Place, args: &[&str]) -> (Vec<Value>, bool) {
    let finished = place.downpour(&[&["doctor", "--json"], args].concat());
    assert!(matches!(finished.code, Some(0 | 1)), "{}", finished.stderr);
    let findings = serde_json::from_str(&finished.stdout).unwrap();
    (findings, finished.code == Some(1))
}

/// Whether something of this level says `text`.
fn says(findings: &[Value], level: &str, text: &str) -> bool {
    let said =
        |finding: &Value| finding["level"] == level && finding["found"].as_str().unwrap().contains(text);
    findings.iter().any(said)
}

#[test]
fn a_platform_that_is_well_has_no_problem() {
    let platform = Platform::new();
    let (findings, problem) = eventually("all replicas are ready", || {
        let examined = examined(&platform.place, &[]);
        says(&examined.0, "ok", "emnist-train: 2 of 2").then_some(examined)
    });
    assert!(!problem, "{findings:#?}");
    for text in ["answers: downpour", "emnist-train: 2 of 2", "finds", "append-only", "the redis's"] {
        assert!(says(&findings, "ok", text), "{text}: {findings:#?}");
    }
    let text = platform.place.downpour(&["doctor"]).succeeded();
    assert_eq!(text.lines().count(), findings.len(), "a line for each: {text}");
    // Asking left nothing behind.
    assert_eq!(platform.keys("*"), [""; 0]);
}

#[test]
fn time_outs_that_are_too_short_and_too_few_places_are_problems() {
    let changes = [
        ("exec_timeout: 55s", "exec_timeout: 5s"),
        (r#"number_of_workers: "2""#, r#"number_of_workers: "40""#),
        (r#"max_inflight: "8""#, r#"max_inflight: "2""#),
    ];
    let platform = Platform::start(Place::new(), &stack_with(&changes));
    let (findings, problem) = examined(&platform.place, &[]);
    assert!(problem && says(&findings, "problem", "emnist-setup: exec_timeout 5s"), "{findings:#?}");
    assert!(says(&findings, "problem", "2 replicas of emnist-train take 2 workers each"), "{findings:#?}");
}

#[test]
fn a_gateway_without_functions_and_one_that_is_not_there_are_problems() {
    let stack = "version: 1.0\nprovider:\n  name: openfaas\nfunctions: {}\n";
    let platform = Platform::start(Place::new(), stack);
    let (findings, problem) = examined(&platform.place, &[]);
    assert!(problem && says(&findings, "problem", "emnist-setup is not deployed"), "{findings:#?}");
    let elsewhere = Place::new();
    let (findings, problem) = examined(&elsewhere, &["--gateway", "http://127.0.0.1:1"]);
    assert!(problem && says(&findings, "problem", "127.0.0.1:1/healthz"), "{findings:#?}");
    assert!(says(&findings, "problem", "none is named, and no local one runs"), "{findings:#?}");
}

#[test]
fn a_redis_that_forgets_evicts_or_is_too_small_is_a_problem() {
    let place = Place::new();
    let config = ["maxmemory 40mb", "maxmemory-policy allkeys-lru"].map(str::to_owned).to_vec();
    let redis = LocalRedis::start(Options { append_only: false, config, ..Options::default() }).unwrap();
    let (findings, problem) = examined(&place, &["--store-url", redis.url()]);
    assert!(problem, "{findings:#?}");
    for text in ["no append-only file", "allkeys-lru: it deletes runs", "of maxmemory 40 MiB"] {
        assert!(says(&findings, "problem", text), "{text}: {findings:#?}");
    }
}

#[test]
fn a_wrong_password_is_told_from_a_redis_that_is_not_there() {
    let place = Place::new();
    let config = vec!["user function on >hush ~* &* +@all".to_owned(), "appendfsync always".to_owned()];
    let redis = LocalRedis::start(Options { config, ..Options::default() }).unwrap();
    let url = redis.url().replace("redis://", "redis://function@");
    place.write("right", b"hush\n");
    place.write("wrong", b"loud\n");
    let (findings, problem) = examined(&place, &["--store-url", &url, "--store-password-file", "right"]);
    assert!(!problem && says(&findings, "warning", "appendfsync always"), "{findings:#?}");
    let (findings, problem) = examined(&place, &["--store-url", &url, "--store-password-file", "wrong"]);
    let advice = |word: &str| {
        findings.iter().any(|finding| finding["advice"].as_str().is_some_and(|advice| advice.contains(word)))
    };
    assert!(problem && advice("give its password"), "{findings:#?}");
    let (findings, _) = examined(&place, &["--store-url", "redis://127.0.0.1:1"]);
    let advice = findings.iter().filter_map(|finding| finding["advice"].as_str()).collect::<Vec<_>>();
    assert!(advice.iter().any(|advice| advice.contains("is it running")), "{findings:#?}");
}

#[test]
fn where_pods_are_is_read_from_what_kubectl_prints() {
    let (platform, place) = (Platform::new(), Place::new());
    let pod = |name: &str, label: &str, value: &str, node: &str| {
        serde_json::json!({
            "metadata": {"name": name, "namespace": "openfaas-fn", "labels": {label: value}},
            "spec": {"nodeName": node, "containers": [{"name": "c"}]},
            "status": {"phase": "Running", "containerStatuses": [{"ready": true, "restartCount": 0}]},
        })
    };
    let pods = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": [
        pod("emnist-train-0", "faas_function", "emnist-train", "a"),
        pod("redis-local-0", "app.kubernetes.io/name", "redis-local", "b"),
    ]});
    place.write("pods.json", pods.to_string().as_bytes());
    let args = ["--store-url", &platform.store_url, "--pods", "pods.json"];
    let (findings, problem) = examined(&place, &args);
    assert!(
        !problem && says(&findings, "warning", "emnist-train runs without a redis-local on a"),
        "{findings:#?}"
    );
    let message = place.downpour(&["doctor", "--pods", "none.json"]).failed(1);
    assert!(message.contains("none.json"), "{message}");
}
