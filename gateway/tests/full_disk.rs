//! A disk without room: whatever can't be kept is refused with the reason, and the rest goes on.

mod support;

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use support::process::{Home, lines};
use support::{deployment, eventually};

/// More than a file may have.
const LARGE: usize = 300_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_invocation_that_cannot_be_kept_is_refused_and_does_not_come_back() {
    let home = Home::new();
    let server = Arc::new(home.start_on_a_small_disk());
    server.deploy("fn", json!({})).await;
    let path = format!("/async-function/fn/alone?folder={}", home.path("").display());
    let large = server.post(&path).header("x-call-id", "large").body(vec![b'x'; LARGE]).send();
    let large = tokio::spawn(large);
    // Those that come at the same time are not refused with it.
    let accepted = server.queue(&path, 0..50).await;
    let refused = large.await.unwrap().unwrap();
    assert_eq!(refused.status(), 507);
    let text = refused.text().await.unwrap();
    assert!(text.starts_with("cannot write ") && text.contains("File too large"), "{text}");
    assert_eq!(accepted.len(), 50);
    eventually(async || (lines(&home.path("done")).len() >= 50).then_some(())).await;
    server.kill();
    drop(server);
    let next = home.start(16);
    next.ready("fn").await;
    eventually(async || (std::fs::read_dir(home.path("state/queue")).unwrap().count() == 0).then_some(()))
        .await;
    assert!(!lines(&home.path("begun")).contains(&"large".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_or_secret_that_cannot_be_kept_changes_nothing() {
    let home = Home::new();
    let server = home.start_on_a_small_disk();
    server.deploy("fn", json!({"envVars": {"colour": "red"}})).await;
    let body = deployment("fn", json!({"envVars": {"colour": "blue", "large": "x".repeat(LARGE)}}));
    let update = server.request(Method::PUT, "/system/functions").json(&body).send().await.unwrap();
    assert_eq!(update.status(), 507);
    let text = update.text().await.unwrap();
    assert!(text.contains("functions/fn.json: File too large"), "{text}");
    let colour = server.get("/function/fn/variable?name=colour").await;
    assert_eq!(colour.text().await.unwrap(), "red");
    let secret = json!({"name": "s", "value": "x".repeat(LARGE)});
    assert_eq!(server.post("/system/secrets").json(&secret).send().await.unwrap().status(), 507);
    assert_eq!(server.get("/system/secrets").await.text().await.unwrap(), "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_goes_on_when_its_log_is_full() {
    let home = Home::new();
    let server = home.start_on_a_small_disk();
    server.deploy("fn", json!({})).await;
    let text = "x".repeat(4000);
    for _ in 0..50 {
        let answer = server.get(&format!("/function/fn/log?text={text}")).await;
        assert_eq!(answer.status(), 200);
    }
    // What there was room for can be read.
    let logs = server.get("/system/logs?name=fn").await.text().await.unwrap();
    assert!(logs.contains(&text), "{} bytes", logs.len());
}
