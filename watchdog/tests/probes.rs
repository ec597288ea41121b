//! Health, readiness and metrics, as Kubernetes and Prometheus ask for them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]

mod common;

use common::{Answer, Server, echo, hang};
use reqwest::Method;
use watchdog::{Call, Reply, StatusCode};

#[tokio::test]
async fn healthy_and_ready() {
    let server = Server::start(&[], echo).await;
    let health = server.get("/_/health").await;
    assert_eq!((health.status(), health.text().await.unwrap()), (StatusCode::OK, "OK".to_owned()));
    let ready = server.get("/_/ready").await;
    assert_eq!((ready.status(), ready.text().await.unwrap()), (StatusCode::OK, String::new()));
    for method in [Method::POST, Method::HEAD, Method::DELETE] {
        for path in ["/_/health", "/_/ready"] {
            let request = reqwest::Client::new().request(method.clone(), server.url(path));
            assert_eq!(request.send().await.unwrap().status(), 405, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn unhealthy_without_the_lock_file() {
    let server = Server::start(&[], echo).await;
    assert!(server.lock_file().exists());
    std::fs::remove_file(server.lock_file()).unwrap();
    assert_eq!(server.get("/_/health").await.status(), 503);
    assert_eq!(server.get("/_/ready").await.status(), 503);
    assert_eq!(server.get("/").await.status(), 200);
}

#[tokio::test]
async fn healthy_without_a_lock_file_if_it_is_suppressed() {
    let server = Server::start(&[("suppress_lock", "true")], echo).await;
    assert!(!server.lock_file().exists());
    assert_eq!(server.get("/_/health").await.status(), 200);
}

#[tokio::test]
async fn the_function_may_answer_for_its_readiness() {
    let server =
        Server::start(&[("ready_path", "/warm?x=1"), ("max_inflight", "1")], |call: Call| async move {
            let text = format!("{} {}", call.method, call.uri);
            Answer::Ok(Reply::text(StatusCode::from_u16(503).unwrap(), text))
        })
        .await;
    let ready = server.get("/_/ready").await;
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.text().await.unwrap(), "GET /warm?x=1");
    assert!(!server.metrics_text().await.contains("http_requests_total{"), "a probe is no request");
}

#[tokio::test]
async fn a_function_that_hangs_is_not_ready() {
    let server = Server::start(&[("ready_path", "/warm"), ("exec_timeout", "20ms")], hang).await;
    assert_eq!(server.get("/_/ready").await.status(), 504);
}

#[tokio::test]
async fn calls_are_counted_and_probes_are_not() {
    let server = Server::start(&[], echo).await;
    server.get("/_/health").await;
    server.get("/_/ready").await;
    server.get("/").await;
    server.post("/", "x").await;
    server.post("/", "y").await;
    let response = reqwest::get(format!("http://{}/metrics", server.metrics)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-type"].to_str().unwrap().contains("openmetrics-text"));
    let text = response.text().await.unwrap();
    for line in [
        "# TYPE http_request_duration_seconds histogram",
        "# TYPE http_requests_in_flight gauge",
        "http_requests_total{code=\"200\",method=\"get\"} 1",
        "http_requests_total{code=\"200\",method=\"post\"} 2",
        "http_request_duration_seconds_count{code=\"200\",method=\"post\"} 2",
        "http_requests_in_flight 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn the_metrics_port_has_nothing_else() {
    let server = Server::start(&[], echo).await;
    let ask = |method, path| {
        reqwest::Client::new().request(method, format!("http://{}{path}", server.metrics)).send()
    };
    assert_eq!(ask(Method::GET, "/").await.unwrap().status(), 404);
    assert_eq!(ask(Method::POST, "/metrics").await.unwrap().status(), 405);
}
