//! What a function sees of a call, and what its caller gets back.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]

mod common;

use common::{Answer, Server, echo};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use watchdog::{Call, HeaderName, Reply, StatusCode};

async fn describe(call: Call) -> Answer {
    let text = format!(
        "{} {} {:?} {} {} {}",
        call.method,
        call.path(),
        call.query(),
        call.headers["x-test"].to_str().unwrap(),
        call.body.len(),
        call.call_id
    );
    let name = HeaderName::from_static("x-from-function");
    Ok(Reply::text(StatusCode::ACCEPTED, text).header(name, HeaderValue::from_static("yes")))
}

#[tokio::test]
async fn the_function_sees_the_whole_request_and_its_reply_arrives() {
    let server = Server::start(&[], describe).await;
    let request = reqwest::Client::new().put(server.url("/a/b?c=d")).header("X-Test", "t");
    let response = request.header("X-Call-Id", "id-1").body("12345").send().await.unwrap();
    assert_eq!(response.status(), 202);
    assert_eq!(response.headers()["x-from-function"], "yes");
    assert_eq!(response.headers()["x-call-id"], "id-1");
    assert_eq!(response.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    let seconds = response.headers()["x-duration-seconds"].to_str().unwrap();
    assert!(seconds.parse::<f64>().is_ok(), "{seconds}");
    assert_eq!(seconds.split_once('.').unwrap().1.len(), 6, "{seconds}");
    assert_eq!(response.text().await.unwrap(), "PUT /a/b Some(\"c=d\") t 5 id-1");
}

#[tokio::test]
async fn a_call_without_id_gets_a_uuid() {
    let server =
        Server::start(&[], |call: Call| async move { Answer::Ok(Reply::text(StatusCode::OK, call.call_id)) })
            .await;
    let response = server.get("/").await;
    let id = response.headers()["x-call-id"].to_str().unwrap().to_owned();
    assert_eq!(id.len(), 36);
    assert_eq!(response.text().await.unwrap(), id);
    assert_ne!(server.get("/").await.text().await.unwrap(), id);
}

#[tokio::test]
async fn an_error_is_a_500_with_its_text() {
    let server = Server::start(&[], |_| async { Answer::Err("the store is away".to_owned()) }).await;
    let response = server.get("/").await;
    assert_eq!(response.status(), 500);
    assert!(response.headers().contains_key("x-call-id"));
    assert_eq!(response.text().await.unwrap(), "the store is away");
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_server_lives() {
    let server = Server::start(&[], |call: Call| {
        assert!(call.path() != "/before", "a panic before the future is there");
        async move {
            tokio::task::yield_now().await;
            assert!(call.path() != "/within", "a panic within the future");
            Answer::Ok(Reply::empty(StatusCode::OK))
        }
    })
    .await;
    for path in ["/before", "/within"] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 500, "{path}");
        assert!(response.text().await.unwrap().contains("panicked"));
    }
    assert_eq!(server.get("/fine").await.status(), 200);
    server.wait_for_metric("http_requests_in_flight 0").await;
}

#[tokio::test]
async fn a_connection_serves_one_call_after_another() {
    let server = Server::start(&[], echo).await;
    let mut client = server.raw(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\none").await;
    client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: close\r\n\r\ntwo").await;
    let answers = client.read_to_close().await;
    assert!(answers.contains("\r\n\r\none") && answers.ends_with("\r\n\r\ntwo"), "{answers}");
}

#[tokio::test]
async fn a_chunked_body_arrives_whole() {
    let server = Server::start(&[], echo).await;
    let chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
        3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let answer = server.raw(chunked).await.read_to_close().await;
    assert!(answer.ends_with("\r\n\r\nabcde"), "{answer}");
}
