//! Replicas that come and go by themselves: with alerts, and where there is nothing to do.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

mod support;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Platform, eventually, processes_of};

fn alert(status: &str, functions: &[&str]) -> Value {
    let alert = |name: &&str| json!({"status": status, "labels": {"alertname": "APIHighInvocationRate", "function_name": name}});
    json!({"receiver": "scale-up", "status": status, "alerts": functions.iter().map(alert).collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_add_replicas_within_the_range_and_take_them_back() {
    let platform = Platform::start();
    let labels = json!({"com.openfaas.scale.max": "4", "com.openfaas.scale.factor": "50"});
    platform.deploy("fn", json!({"labels": labels})).await;
    platform.deploy("other", json!({})).await;
    let send = async |body: &Value| {
        let response = platform.send(Method::POST, "/system/alert", body).await;
        (response.status(), response.text().await.unwrap())
    };
    for replicas in [3, 4, 4] {
        assert_eq!(send(&alert("firing", &["fn.openfaas-fn"])).await, (StatusCode::OK, String::new()));
        platform.until("fn", |status| status.available_replicas == replicas).await;
    }
    assert_eq!(send(&alert("resolved", &["fn"])).await.0, 200);
    platform.until("fn", |status| (status.replicas, status.available_replicas) == (1, 1)).await;

    // A part of the alerts cannot be heeded: the others are.
    let (status, text) = send(&alert("firing", &["none", "fn"])).await;
    assert_eq!((status.as_u16(), text.as_str()), (404, "error finding function none: not found\n"));
    assert_eq!(platform.status("fn").await.replicas, 3);
    assert_eq!(platform.status("other").await.replicas, 1);

    for (body, reason) in [
        (json!({}), "missing field `status`"),
        (
            json!({"status": "loud", "alerts": []}),
            "status: unknown variant `loud`, expected `firing` or `resolved`",
        ),
        (
            json!({"status": "firing", "alerts": [{"labels": {}}]}),
            "alerts[0].labels: missing field `function_name`",
        ),
    ] {
        let (status, text) = send(&body).await;
        assert_eq!(status, 400, "{body}");
        assert!(text.contains(reason) && text.lines().count() == 1, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_function_goes_to_zero_and_the_next_call_wakes_it() {
    let mut platform = Platform::start();
    let labels = json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "100ms"});
    platform.deploy_unready("fn", json!({"labels": labels})).await;
    platform.deploy("stays", json!({"labels": {"com.openfaas.scale.zero-duration": "100ms"}})).await;
    platform.until("fn", |status| (status.replicas, status.available_replicas) == (0, 0)).await;
    assert_eq!(platform.status("stays").await.available_replicas, 1);
    // Kept over a restart, and woken by a queued call as by any other.
    platform.restart();
    platform.until("stays", |status| status.available_replicas == 1).await;
    assert_eq!(platform.status("fn").await.replicas, 0);
    platform.text("/function/fn/pod").await;
    platform.until("fn", |status| status.replicas == 0).await;
    let calls = platform.path("calls");
    let path = format!("/async-function/fn/fail-first?times=0&file={}", calls.display());
    assert_eq!(platform.post(&path, "").await.status(), 202);
    eventually(async || calls.exists().then_some(())).await;
    platform.until("fn", |status| status.replicas == 0).await;
    eventually(async || (processes_of(&platform.path("images")).len() == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_works_is_never_scaled_to_zero() {
    let platform = Platform::start();
    let (works_while, hold) = (platform.path("works"), platform.path("hold"));
    std::fs::write(&works_while, "").unwrap();
    std::fs::write(&hold, "").unwrap();
    let labels = json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "50ms"});
    platform.deploy("background", json!({"labels": labels, "envVars": {"works_while": works_while}})).await;
    platform.deploy_unready("called", json!({"labels": labels})).await;
    platform.deploy_unready("idle", json!({"labels": labels})).await;
    let started = platform.path("started");
    let path = format!("/function/called/hold?while={}&started={}", hold.display(), started.display());
    let call = tokio::spawn(platform.request(Method::GET, &path).send());
    eventually(async || started.exists().then_some(())).await;
    // Each round of `idle` to zero and back is time enough for the others to be found idle, were they.
    for _ in 0..3 {
        platform.until("idle", |status| status.replicas == 0).await;
        platform.text("/function/idle/pod").await;
    }
    assert_eq!(platform.status("background").await.available_replicas, 1);
    assert_eq!(platform.status("called").await.available_replicas, 1);
    std::fs::remove_file(&hold).unwrap();
    assert_eq!(call.await.unwrap().unwrap().text().await.unwrap(), "held");
    std::fs::remove_file(&works_while).unwrap();
    platform.until("background", |status| status.replicas == 0).await;
    platform.until("called", |status| status.replicas == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_between_zero_and_one() {
    let platform = Platform::start();
    let labels = json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "1ms"});
    platform.deploy_unready("fn", json!({"labels": labels})).await;
    let mut slept = 0;
    while slept < 3 {
        for _ in 0..50 {
            platform.text("/function/fn/pod").await;
        }
        platform.until("fn", |status| status.replicas == 0).await;
        slept += 1;
    }
}
