//! Functions that are called by the clock.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

mod support;

use reqwest::Method;
use serde_json::{Value, json};
use support::{Platform, deployment, eventually};

fn every_second(more: &Value) -> Value {
    let mut body = json!({"annotations": {"topic": "cron-function", "schedule": "@every 1s"}});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_calls_again_and_again_until_it_is_taken_away() {
    let platform = Platform::start();
    platform.deploy("other", json!({})).await;
    platform.deploy("fn", every_second(&json!({"labels": {"com.openfaas.scale.min": "0"}}))).await;
    // It needs no replica for that: it is woken.
    platform.until("fn", |status| status.invocation_count >= 2.0).await;
    assert_eq!(platform.status("other").await.invocation_count, 0.0);
    let without = deployment("fn", json!({}));
    assert_eq!(platform.send(Method::PUT, "/system/functions", &without).await.status(), 202);
    let (mut before, mut same) = (-1.0, 0);
    eventually(async || {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let count = platform.status("fn").await.invocation_count;
        same = if count == before { same + 1 } else { 0 };
        before = count;
        (same > 5).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_do_not_pile_up_behind_a_call_that_takes_long() {
    let platform = Platform::start();
    let ready_when = platform.path("ready");
    platform.deploy_unready("slow", every_second(&json!({"envVars": {"ready_when": ready_when}}))).await;
    platform.deploy("fn", every_second(&json!({}))).await;
    // While that one is called four times, this one waits for its first replica.
    platform.until("fn", |status| status.invocation_count >= 4.0).await;
    assert_eq!(platform.status("slow").await.invocation_count, 1.0);
    // Now and then the other one's call is there too.
    let queued = || std::fs::read_dir(platform.path("state/queue")).unwrap().count();
    eventually(async || (queued() == 1).then_some(())).await;
    std::fs::write(&ready_when, "").unwrap();
    platform.until("slow", |status| status.invocation_count >= 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_schedule_cannot_be_deployed() {
    let platform = Platform::start();
    for (annotations, reason) in [
        (
            json!({"topic": "cron-function"}),
            "annotation schedule is missing, which the topic cron-function needs",
        ),
        (
            json!({"topic": "cron-function", "schedule": "61 * * * *"}),
            "annotation schedule is \"61 * * * *\": wanted",
        ),
        (
            json!({"topic": "cron-function", "schedule": "* * * * * *"}),
            "annotation schedule is \"* * * * * *\": wanted",
        ),
    ] {
        let body = deployment("fn", json!({"annotations": annotations}));
        let response = platform.send(Method::POST, "/system/functions", &body).await;
        assert_eq!(response.status(), 400);
        let text = response.text().await.unwrap();
        assert!(text.starts_with(&format!("validation failed: {reason}")), "{text}");
    }
    let other_topic = json!({"annotations": {"topic": "payments", "schedule": "whenever"}});
    platform.deploy("fn", other_topic).await;
}
