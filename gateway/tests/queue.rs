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
use support::{Platform, eventually};
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
