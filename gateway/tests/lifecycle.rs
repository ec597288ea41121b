//! Functions from their deployment to their removal, as real processes.

mod support;

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::json;
use support::{Platform, deployment, eventually, processes_of};

#[tokio::test(flavor = "multi_thread")]
async fn deploy_invoke_scale_zero_back_remove() {
    let platform = Platform::start();
    platform.deploy("fn", json!({"labels": {"team": "a"}, "envVars": {"colour": "red"}})).await;
    let status = platform.status("fn").await;
    assert_eq!((status.replicas, status.available_replicas, status.labels["team"].as_str()), (1, 1, "a"));
    assert_eq!(platform.text("/function/fn/variable?name=colour").await, "red");

    assert_eq!(platform.scale("fn", 3).await.status(), StatusCode::ACCEPTED);
    platform.until("fn", |status| status.available_replicas == 3).await;
    let pods = eventually(async || {
        let mut pods = BTreeSet::new();
        for _ in 0..30 {
            pods.insert(platform.text("/function/fn.openfaas-fn/pod").await);
        }
        Some(pods).filter(|pods| pods.len() == 3)
    })
    .await;
    assert!(pods.iter().all(|pod| pod.starts_with("fn-") && pod.len() == "fn-".len() + 16), "{pods:?}");

    platform.scale("fn", 0).await;
    eventually(async || processes_of(&platform.path("images")).is_empty().then_some(())).await;
    assert_eq!(platform.status("fn").await.available_replicas, 0);
    // The call itself brings a replica back and waits for it.
    platform.text("/function/fn/pod").await;
    assert_eq!(platform.status("fn").await.replicas, 1);

    let body = json!({"functionName": "fn"});
    assert_eq!(platform.send(Method::DELETE, "/system/functions", &body).await.status(), 202);
    assert_eq!(platform.send(Method::DELETE, "/system/functions", &body).await.status(), 404);
    assert_eq!(platform.get("/function/fn").await.status(), 404);
    assert_eq!(platform.get("/system/function/fn").await.status(), 404);
    eventually(async || processes_of(&platform.path("images")).is_empty().then_some(())).await;
    assert_eq!(platform.text("/system/functions").await, "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_replica_is_restarted() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let before = platform.text("/function/fn/pod").await;
    for _ in 0..3 {
        assert_eq!(platform.post("/function/fn/crash", "").await.status(), 502);
    }
    let after = eventually(async || {
        let response = platform.get("/function/fn/pod").await;
        if response.status() == 200 { response.text().await.ok() } else { None }
    })
    .await;
    assert_ne!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_dies_at_once_is_started_again_until_it_lives() {
    let platform = Platform::start_with(|config| config.ready_timeout = std::time::Duration::from_millis(20));
    let crash_while = platform.path("crash");
    std::fs::write(&crash_while, "").unwrap();
    platform.deploy_unready("fn", json!({"envVars": {"crash_while": crash_while}})).await;
    // Each start has a folder of its own name.
    let mut starts = BTreeSet::new();
    eventually(async || {
        let folders = std::fs::read_dir(platform.path("state/replicas")).unwrap();
        starts.extend(folders.flatten().map(|folder| folder.file_name()));
        (starts.len() >= 3).then_some(())
    })
    .await;
    // Whoever calls it is told why nobody answers, and so is kubectl.
    let text = eventually(async || {
        let response = platform.get("/function/fn").await;
        assert_eq!(response.status(), 503);
        let text = response.text().await.unwrap();
        text.contains("in a row").then_some(text)
    })
    .await;
    assert!(text.starts_with("No endpoints available for: fn. Replicas ended "), "{text}");
    assert!(text.contains("the last: exit status: 3; the next start is in "), "{text}");
    let events = platform.text("/api/v1/events").await;
    assert!(events.contains("\"BackOff\"") && events.contains("in a row"), "{events}");
    std::fs::remove_file(&crash_while).unwrap();
    platform.until("fn", |status| status.available_replicas == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_rolls_and_ends_calls_in_flight() {
    let platform = Platform::start();
    platform.deploy("fn", json!({"envVars": {"version": "1"}})).await;
    let old = platform.text("/function/fn/pod").await;
    let same = deployment("fn", json!({"envVars": {"version": "1"}}));
    assert_eq!(platform.send(Method::PUT, "/system/functions", &same).await.status(), 202);
    assert_eq!(platform.text("/function/fn/pod").await, old, "an unchanged function keeps its replicas");

    let slow = tokio::spawn(platform.request(Method::GET, "/function/fn/slow?ms=1500").send());
    platform.until("fn", |status| status.invocation_count == 3.0).await;
    let next = deployment("fn", json!({"envVars": {"version": "2"}}));
    assert_eq!(platform.send(Method::PUT, "/system/functions", &next).await.status(), 202);
    eventually(async || {
        // No call fails on the way from one version to the next.
        let version = platform.text("/function/fn/variable?name=version").await;
        (version == "2" && platform.text("/function/fn/pod").await != old).then_some(())
    })
    .await;
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "slept");
    eventually(async || (processes_of(&platform.path("images")).len() == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_never_gets_ready_leaves_the_old_version_serving() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let old = platform.text("/function/fn/pod").await;
    let never = deployment("fn", json!({"envVars": {"ready_when": "/nonexistent/file"}}));
    assert_eq!(platform.send(Method::PUT, "/system/functions", &never).await.status(), 202);
    eventually(async || (processes_of(&platform.path("images")).len() == 2).then_some(())).await;
    for _ in 0..10 {
        assert_eq!(platform.text("/function/fn/pod").await, old);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_and_their_scale_survive_a_restart() {
    let mut platform = Platform::start();
    platform.deploy("fn", json!({"envVars": {"colour": "red"}})).await;
    platform.scale("fn", 2).await;
    let before = platform.until("fn", |status| status.available_replicas == 2).await;
    platform.restart();
    assert_eq!(platform.text("/function/fn/variable?name=colour").await, "red");
    let after = platform.until("fn", |status| status.available_replicas == 2).await;
    assert_eq!((before.created_at, before.replicas), (after.created_at, after.replicas));
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_leaves_nothing_behind_and_kills_what_does_not_end() {
    let platform = Platform::start_with(|config| config.grace_period = std::time::Duration::from_millis(200));
    let patient = json!({"labels": {"com.openfaas.scale.min": "2"}, "envVars": {"write_timeout": "30s"}});
    platform.deploy("good", patient).await;
    platform.deploy("deaf", json!({"envVars": {"ignore_sigterm": "true"}})).await;
    let slow = tokio::spawn(platform.request(Method::GET, "/function/good/slow?ms=600").send());
    eventually(async || (platform.status("good").await.invocation_count > 0.0).then_some(())).await;
    let folder = platform.shutdown().await;
    assert_eq!(slow.await.unwrap().unwrap().status(), 200, "a call in flight is answered");
    assert_eq!(processes_of(&folder.path().join("images")), [""; 0]);
    assert_eq!(std::fs::read_dir(folder.path().join("state/replicas")).map_or(0, Iterator::count), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_stand_side_by_side_but_not_on_one_folder() {
    let (first, second) = (Platform::start(), Platform::start());
    first.deploy("fn", json!({"envVars": {"who": "first"}})).await;
    second.deploy("fn", json!({"envVars": {"who": "second"}})).await;
    assert_eq!(first.text("/function/fn/variable?name=who").await, "first");
    assert_eq!(second.text("/function/fn/variable?name=who").await, "second");
    let error = gateway::Gateway::start(first.config.clone()).err().unwrap().to_string();
    assert!(error.ends_with("is in use by another gateway"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_record_is_named() {
    let mut platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    drop(platform.gateway.take());
    let record = platform.path("state/functions/fn.json");
    let whole = std::fs::read(&record).unwrap();
    std::fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    let error = gateway::Gateway::start(platform.config.clone()).err().unwrap().to_string();
    assert!(error.contains("functions/fn.json is damaged"), "{error}");
}
