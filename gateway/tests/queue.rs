//! Asynchronous calls: kept, retried, answered by callback, and not lost with the gateway.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use reqwest::{Method, Response};
use serde_json::json;
use support::{Platform, deployment, eventually};
use tokio::sync::mpsc;

type Received = (HeaderMap, String);

/// A server for callbacks: its URL, and what was posted to it.
async fn callbacks() -> (String, mpsc::UnboundedReceiver<Received>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let handler =
        async |State(sender): State<mpsc::UnboundedSender<Received>>, headers: HeaderMap, body: String| {
            sender.send((headers, body)).unwrap();
        };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/done", listener.local_addr().unwrap());
    let router = Router::new().route("/done", post(handler)).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, receiver)
}

async fn queue(platform: &Platform, path: &str, callback: &str) -> Response {
    let request = platform.request(Method::POST, path).header("x-callback-url", callback).body("input");
    request.send().await.unwrap()
}

fn queued(platform: &Platform) -> usize {
    std::fs::read_dir(platform.path("state/queue")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_comes_by_callback() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let (url, mut received) = callbacks().await;
    let response = queue(&platform, "/async-function/fn.openfaas-fn/echo?x=1", &url).await;
    assert_eq!(response.status(), 202);
    let call_id = response.headers()["x-call-id"].clone();
    assert_eq!(response.text().await.unwrap(), "");
    let (headers, body) = received.recv().await.unwrap();
    assert_eq!(body, "input");
    assert_eq!(headers["x-call-id"], call_id);
    assert_eq!(headers["got-x-call-id"], call_id);
    assert_eq!(headers["got-line"], "POST /echo?x=1");
    assert_eq!(headers["x-function-status"], "200");
    assert_eq!(headers["x-function-name"], "fn.openfaas-fn");
    assert_eq!(headers["x-start-time"], headers["got-x-start-time"]);
    assert_eq!(
        (headers["x-retry"].clone(), headers["x-retry-max"].clone()),
        ("0".parse().unwrap(), "99".parse().unwrap())
    );
    assert!(headers.contains_key("x-duration-seconds"));
    eventually(async || (queued(&platform) == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_and_the_rest_is_not() {
    let platform = Platform::start_with(|config| config.queue.attempts = 4);
    platform.deploy("fn", json!({})).await;
    let (url, mut received) = callbacks().await;
    for (status, times, expected, calls) in
        [(429, 2, "200", 3), (503, 3, "200", 4), (500, 9, "500", 4), (400, 9, "400", 1)]
    {
        let file = platform.path(&format!("calls-{status}"));
        let path =
            format!("/async-function/fn/fail-first?times={times}&status={status}&file={}", file.display());
        assert_eq!(queue(&platform, &path, &url).await.status(), 202);
        let (headers, _) = received.recv().await.unwrap();
        assert_eq!(headers["x-function-status"], expected, "{status}");
        assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), calls, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_a_failure() {
    let platform = Platform::start_with(|config| config.queue.attempts = 2);
    platform.deploy("fn", json!({})).await;
    let (url, mut received) = callbacks().await;
    assert_eq!(queue(&platform, "/async-function/fn/break-off", &url).await.status(), 202);
    let (headers, body) = received.recv().await.unwrap();
    let told = ["x-function-status", "x-openfaas-internal", "x-retry"].map(|name| headers[name].clone());
    assert_eq!(
        (told.map(|value| value.to_str().unwrap().to_owned()), body.as_str()),
        (["500", "proxy", "1"].map(str::to_owned), "")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_meets_the_function_that_is_there_when_its_turn_comes() {
    let platform = Platform::start_with(|config| config.queue.concurrency = 1);
    platform.deploy("fn", json!({})).await;
    let (url, mut received) = callbacks().await;
    let (hold, started) = (platform.path("hold"), platform.path("started"));
    std::fs::write(&hold, "").unwrap();
    let path = format!("/async-function/fn/hold?while={}&started={}", hold.display(), started.display());
    let first = platform.post(&path, "").await.headers()["x-call-id"].to_str().unwrap().to_owned();
    eventually(async || started.exists().then_some(())).await;
    assert_eq!(queue(&platform, "/async-function/fn/pod", &url).await.status(), 202);
    let body = json!({"functionName": "fn"});
    assert_eq!(platform.send(Method::DELETE, "/system/functions", &body).await.status(), 202);
    platform.deploy("fn", json!({})).await;
    let cancel = platform.request(Method::DELETE, &format!("/async-function/{first}"));
    assert_eq!(cancel.send().await.unwrap().status(), 202);
    assert_eq!(received.recv().await.unwrap().0["x-function-status"], "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_call_survives_the_gateway_and_is_delivered_once() {
    let mut platform = Platform::start();
    let ready_when = platform.path("ready");
    platform.deploy_unready("fn", json!({"envVars": {"ready_when": ready_when}})).await;
    let (url, mut received) = callbacks().await;
    let calls = platform.path("calls");
    let path = format!("/async-function/fn/fail-first?times=0&file={}", calls.display());
    let response = queue(&platform, &path, &url).await;
    assert_eq!((response.status().as_u16(), queued(&platform)), (202, 1));
    let call_id = response.headers()["x-call-id"].clone();
    platform.restart();
    std::fs::write(&ready_when, "").unwrap();
    let (headers, body) = received.recv().await.unwrap();
    assert_eq!((headers["x-call-id"].clone(), body.as_str()), (call_id, "call 1"));
    eventually(async || (queued(&platform) == 0).then_some(())).await;
    platform.restart();
    platform.text("/function/fn/pod").await;
    assert!(received.try_recv().is_err());
    assert_eq!(std::fs::read_to_string(calls).unwrap(), "called\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_queued_is_refused() {
    let platform = Platform::start_with(|config| {
        config.queue.body_limit = 1000;
        config.queue.capacity = 2;
    });
    platform.deploy("fn", json!({})).await;
    platform.deploy_unready("never", json!({"envVars": {"ready_when": "/nonexistent/file"}})).await;
    assert_eq!(platform.post("/async-function/none", "").await.status(), 404);
    assert_eq!(platform.post("/async-function/fn", vec![0; 1001]).await.status(), 413);
    for url in ["nonsense", "ftp://host/", "https://host/"] {
        let response = queue(&platform, "/async-function/fn/pod", url).await;
        assert_eq!(response.status(), 400);
        assert!(response.text().await.unwrap().starts_with("X-Callback-Url is "));
    }
    for expected in [202, 202, 503] {
        assert_eq!(platform.post("/async-function/never", "").await.status(), expected);
    }
    assert_eq!(queued(&platform), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_function_does_not_hold_up_another_nor_exceed_its_share() {
    let platform = Platform::start_with(|config| config.queue.concurrency = 2);
    platform.deploy("slow", json!({})).await;
    platform.deploy("fn", json!({})).await;
    let (url, mut received) = callbacks().await;
    for _ in 0..6 {
        assert_eq!(platform.post("/async-function/slow/slow?ms=60000", "").await.status(), 202);
    }
    assert_eq!(queue(&platform, "/async-function/fn/pod", &url).await.status(), 202);
    assert_eq!(received.recv().await.unwrap().0["x-function-status"], "200");
    platform.until("slow", |status| status.invocation_count == 2.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_fails_is_sent_again_without_calling_the_function_again() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let attempts = Arc::new(AtomicUsize::new(0));
    let handler = async |State(attempts): State<Arc<AtomicUsize>>| {
        if attempts.fetch_add(1, Ordering::SeqCst) < 2 { StatusCode::BAD_GATEWAY } else { StatusCode::OK }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().route("/", post(handler)).with_state(attempts.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    assert_eq!(queue(&platform, "/async-function/fn/pod", &url).await.status(), 202);
    eventually(async || (queued(&platform) == 0).then_some(())).await;
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
    assert_eq!(platform.status("fn").await.invocation_count, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_functions_annotations_change_how_it_is_tried_again() {
    let platform = Platform::start();
    let annotations = json!({
        "com.openfaas.retry.attempts": "3",
        "com.openfaas.retry.codes": "418",
        "com.openfaas.retry.min_wait": "1ms",
        "com.openfaas.retry.max_wait": "2ms",
    });
    platform.deploy("fn", json!({"annotations": annotations})).await;
    let (url, mut received) = callbacks().await;
    for (status, calls) in [(418, 3), (503, 1)] {
        let file = platform.path(&format!("calls-{status}"));
        let path = format!("/async-function/fn/fail-first?times=9&status={status}&file={}", file.display());
        assert_eq!(queue(&platform, &path, &url).await.status(), 202);
        let (headers, _) = received.recv().await.unwrap();
        assert_eq!(headers["x-function-status"], status.to_string());
        assert_eq!(headers["x-retry"], (calls - 1).to_string());
        assert_eq!(headers["x-retry-max"], "2");
        assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), calls);
    }
    for (name, value) in [("attempts", "0"), ("codes", "never"), ("min_wait", "soon"), ("max_wait", "-1s")] {
        let body = deployment("new", json!({"annotations": {format!("com.openfaas.retry.{name}"): value}}));
        let response = platform.send(Method::POST, "/system/functions", &body).await;
        assert_eq!(response.status(), 400);
        let text = response.text().await.unwrap();
        let reason = format!("validation failed: annotation com.openfaas.retry.{name} is {value:?}: wanted ");
        assert!(text.starts_with(&reason), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_says_when_to_try_again() {
    // Nothing but the function's word brings a second attempt within the time that a test waits.
    let platform = Platform::start_with(|config| {
        config.queue.min_wait = std::time::Duration::from_secs(3600);
        config.queue.max_wait = std::time::Duration::from_secs(3600);
    });
    platform.deploy("fn", json!({"annotations": {"com.openfaas.retry.min_wait": "0s"}})).await;
    let (url, mut received) = callbacks().await;
    let file = platform.path("calls");
    let path =
        format!("/async-function/fn/fail-first?times=2&status=429&retry-after=1&file={}", file.display());
    assert_eq!(queue(&platform, &path, &url).await.status(), 202);
    assert_eq!(received.recv().await.unwrap().1, "call 3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_cancelled_wherever_it_is() {
    let mut platform = Platform::start_with(|config| config.queue.concurrency = 1);
    platform.deploy("fn", json!({})).await;
    let (started, hold) = (platform.path("started"), platform.path("hold"));
    std::fs::write(&hold, "").unwrap();
    let submit = async |platform: &Platform, started: &std::path::Path| {
        let path = format!("/async-function/fn/hold?while={}&started={}", hold.display(), started.display());
        let response = platform.post(&path, "").await;
        assert_eq!(response.status(), 202);
        response.headers()["x-call-id"].to_str().unwrap().to_owned()
    };
    let cancel = async |platform: &Platform, path: String| {
        let request = platform.request(Method::DELETE, &format!("/async-function/{path}"));
        request.send().await.unwrap().status().as_u16()
    };
    let (running, waiting) = (submit(&platform, &started).await, submit(&platform, &started).await);
    eventually(async || started.exists().then_some(())).await;
    assert_eq!(cancel(&platform, format!("other/{running}")).await, 404);
    assert_eq!(cancel(&platform, "no-such-call".to_owned()).await, 404);
    assert_eq!(cancel(&platform, format!("fn.openfaas-fn/{waiting}")).await, 202);
    assert_eq!(queued(&platform), 1);
    // One that was queued before a restart is found too.
    platform.restart();
    let started_after = platform.path("started-after");
    let after = submit(&platform, &started_after).await;
    assert_eq!(cancel(&platform, running.clone()).await, 202);
    // Its place is free: the next one starts although the function would still be at it.
    eventually(async || started_after.exists().then_some(())).await;
    assert_eq!(cancel(&platform, running).await, 404);
    assert_eq!(cancel(&platform, after).await, 202);
    eventually(async || (queued(&platform) == 0).then_some(())).await;
    std::fs::remove_file(&hold).unwrap();
}
