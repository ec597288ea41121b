//! Clients that are slow, silent, or do not read: none holds anything up, nor for ever.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may stop at the first surprise")]

mod support;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use support::{Platform, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A gateway that waits for nobody, with a function.
async fn impatient() -> Platform {
    let platform = Platform::start_with(|config| {
        config.read_timeout = Duration::from_millis(200);
        config.write_timeout = Duration::from_millis(200);
    });
    platform.deploy("fn", json!({})).await;
    platform
}

async fn connect(platform: &Platform, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(platform.gateway().address()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// What comes until the gateway closes the connection.
async fn answer(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut text)).await;
    let _ = read.expect("the gateway closes the connection");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_finish_a_request_is_cut_off() {
    let platform = impatient().await;
    for head in ["", "GET /function/fn/pod HTTP/1.1\r\nhost:"] {
        assert_eq!(answer(connect(&platform, head).await).await, "", "{head:?}");
    }
    for (path, length) in [
        ("/function/fn/echo", "100"),
        ("/async-function/fn/echo", "100"),
        ("/system/functions", "100"),
        // Longer than what is kept: the function has the beginning already.
        ("/function/fn/echo-whole", "1000000"),
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\nabc");
        let answer = answer(connect(&platform, &head).await).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
        assert!(answer.contains("cannot read the body: "), "{path}: {answer}");
    }
    assert_eq!(std::fs::read_dir(platform.path("state/queue")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_keeps_coming_may_take_longer_than_the_limit() {
    let platform = impatient().await;
    let mut stream = connect(
        &platform,
        "POST /function/fn/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\nconnection: close\r\n\r\n",
    )
    .await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(80)).await;
        stream.write_all(&[b'x'; 1000]).await.unwrap();
    }
    let answer = answer(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with(&"x".repeat(5000)), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_its_answer_is_cut_off() {
    let platform = impatient().await;
    let labels = json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "50ms"});
    platform.deploy("idle", json!({"labels": labels})).await;
    let path = format!("/function/idle/zeros?bytes={}", 64 << 20);
    let client = connect(&platform, &format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    // The call is over only when its answer is: as long as it is not, the function is not scaled to zero.
    platform.until("idle", |status| status.invocation_count == 1.0).await;
    platform.until("idle", |status| status.replicas == 0).await;
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_hold_nobody_up() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let mut silent = Vec::new();
    for number in 0..300 {
        let begun = ["", "POST /function/fn/echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc"];
        silent.push(connect(&platform, begun[number % 2]).await);
    }
    for _ in 0..20 {
        assert_eq!(platform.get("/function/fn/pod").await.status(), StatusCode::OK);
    }
    drop(silent);
    // Calls that were begun by clients that have left are over.
    eventually(async || (platform.get("/function/fn/pod").await.status() == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_although_nobody_reads_it() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    // Far more than what the system buffers: the answer must come although the body was not read.
    for path in ["/async-function/fn", "/system/functions"] {
        let response = platform.post(path, vec![b'x'; 20_000_000]).await;
        assert_eq!(response.status(), 413, "{path}");
        assert!(response.text().await.unwrap().starts_with("the body has more than 1048576 bytes"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_head_is_refused() {
    let platform = impatient().await;
    let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\nlong: {}\r\n\r\n", "x".repeat(100_000));
    let answer = answer(connect(&platform, &head).await).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
