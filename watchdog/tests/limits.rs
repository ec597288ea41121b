//! What a call may cost, and what happens beyond.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use common::{Answer, Server, echo, hang};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use watchdog::{Call, Reply, StatusCode};

#[tokio::test]
async fn a_body_at_the_limit_passes_and_one_beyond_is_a_413() {
    let server = Server::start(&[("max_body_bytes", "1000")], echo).await;
    assert_eq!(server.post("/", vec![b'x'; 1000]).await.bytes().await.unwrap().len(), 1000);
    // Far more than what sockets buffer: the reply must arrive although nobody reads the body.
    for size in [1001, 20_000_000] {
        let response = server.post("/", vec![b'x'; size]).await;
        assert_eq!(response.status(), 413, "{size}");
        let text = response.text().await.unwrap();
        assert!(text.contains("max_body_bytes") && text.contains("1000"), "{text}");
    }
}

#[tokio::test]
async fn a_chunked_body_is_counted_and_an_absurd_length_is_not_believed() {
    let server = Server::start(&[("max_body_bytes", "4")], echo).await;
    for request in [
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n",
        "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nfffffffffff\r\nabcdefgh",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 18446744073709551600\r\n\r\nabc",
    ] {
        let answer = server.raw(request.as_bytes()).await.read_to_close().await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(status == "413" || status == "400", "{request}: {answer}");
    }
    assert_eq!(server.post("/", "abcd").await.status(), 200);
}

#[tokio::test]
async fn a_truncated_or_broken_body_never_reaches_the_function() {
    let calls = Arc::new(AtomicUsize::new(0));
    let server = Server::start(&[], {
        let calls = Arc::clone(&calls);
        move |_: Call| {
            calls.fetch_add(1, Ordering::SeqCst);
            async { Answer::Ok(Reply::empty(StatusCode::OK)) }
        }
    })
    .await;
    let mut truncated = server.raw(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc").await;
    truncated.0.shutdown().await.unwrap();
    truncated.read_to_close().await;
    let broken = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\nabc\r\n";
    let answer = server.raw(broken).await.read_to_close().await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    server.wait_for_metric("http_requests_in_flight 0").await;
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_eq!(server.get("/").await.status(), 200);
}

#[tokio::test]
async fn no_more_calls_than_max_inflight() {
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::start(&[("max_inflight", "2")], {
        let gate = Arc::clone(&gate);
        move |_| {
            let gate = Arc::clone(&gate);
            async move {
                let _open = gate.acquire().await.unwrap();
                Answer::Ok(Reply::empty(StatusCode::OK))
            }
        }
    })
    .await;
    let calls = [server.url("/1"), server.url("/2")].map(|url| tokio::spawn(reqwest::get(url)));
    server.wait_for_metric("http_requests_in_flight 2").await;

    let refused = server.get("/3").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["x-openfaas-internal"], "faas-middleware");
    assert_eq!(refused.headers()["content-type"], "text/plain");
    let text = refused.text().await.unwrap();
    assert_eq!(text.trim_end(), "Concurrent request limit exceeded. Max concurrent requests: 2");
    assert_eq!(server.get("/_/ready").await.status(), 429);
    assert_eq!(server.get("/_/health").await.status(), 200);

    gate.add_permits(1);
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(server.get("/_/ready").await.status(), 200);
    assert_eq!(server.get("/4").await.status(), 200);
    server.wait_for_metric("http_requests_total{code=\"429\",method=\"get\"} 1").await;
}

#[tokio::test]
async fn a_call_that_goes_on_after_its_reply_stays_in_flight() {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ended = Arc::new(std::sync::Mutex::new(ended));
    let server = Server::start(&[("max_inflight", "1")], move |call: Call| {
        let ended = Arc::clone(&ended);
        async move {
            let in_flight = call.in_flight();
            std::thread::spawn(move || {
                let _ = ended.lock().unwrap().recv();
                drop(in_flight);
            });
            Answer::Ok(Reply::empty(StatusCode::ACCEPTED))
        }
    })
    .await;
    assert_eq!(server.get("/").await.status(), 202);
    assert_eq!(server.get("/").await.status(), 429);
    assert_eq!(server.get("/_/ready").await.status(), 429);
    end.send(()).unwrap();
    server.wait_for_metric("http_requests_in_flight 0").await;
    assert_eq!(server.get("/_/ready").await.status(), 200);
}

/// Reports when it is dropped.
struct Dropped(tokio::sync::mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[tokio::test]
async fn beyond_exec_timeout_a_call_is_cancelled_with_an_empty_504() {
    let (sender, mut dropped) = tokio::sync::mpsc::unbounded_channel();
    // As by default, both limits are the same: the caller still gets a reply.
    let limits = [("exec_timeout", "50ms"), ("write_timeout", "50ms")];
    let server = Server::start(&limits, move |_| {
        let dropped = Dropped(sender.clone());
        async move {
            let _dropped = dropped;
            std::future::pending::<Answer>().await
        }
    })
    .await;
    let response = server.get("/").await;
    assert_eq!(response.status(), 504);
    assert_eq!(response.headers()["x-openfaas-internal"], "of-watchdog");
    assert!(response.headers().contains_key("x-call-id"));
    assert_eq!(response.text().await.unwrap(), "");
    dropped.recv().await.unwrap();
    server.wait_for_metric("http_requests_total{code=\"504\",method=\"get\"} 1").await;
    server.wait_for_metric("http_requests_in_flight 0").await;
}

#[tokio::test]
async fn x_timeout_shortens_exec_timeout() {
    let server = Server::start(&[("exec_timeout", "1h"), ("write_timeout", "1h")], hang).await;
    let ask = |limit| reqwest::Client::new().get(server.url("/")).header("X-Timeout", limit).send();
    assert_eq!(ask("20ms").await.unwrap().status(), 504);
    let refused = ask("soon").await.unwrap();
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().contains("X-Timeout"));
}

#[tokio::test]
async fn the_deadline_is_exec_timeout_after_arrival() {
    let server = Server::start(&[("exec_timeout", "1h"), ("write_timeout", "2h")], |call: Call| async move {
        let left = call.deadline.map(|deadline| deadline.duration_since(Instant::now()).as_secs());
        Answer::Ok(Reply::text(StatusCode::OK, format!("{left:?}")))
    })
    .await;
    let left = server.get("/").await.text().await.unwrap();
    assert!(left.starts_with("Some(35"), "about an hour, not {left}");
    let unlimited = Server::start(&[("exec_timeout", "0")], |call: Call| async move {
        Answer::Ok(Reply::text(StatusCode::OK, format!("{:?}", call.deadline)))
    })
    .await;
    assert_eq!(unlimited.get("/").await.text().await.unwrap(), "None");
}

#[tokio::test]
async fn beyond_write_timeout_the_connection_closes_without_a_reply() {
    let server = Server::start(&[("exec_timeout", "1h"), ("write_timeout", "50ms")], hang).await;
    let mut client = server.raw(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(client.read_to_close().await, "");
    server.wait_for_metric("http_requests_total{code=\"499\",method=\"get\"} 1").await;
    server.wait_for_metric("http_requests_in_flight 0").await;
}

#[tokio::test]
async fn a_caller_that_leaves_cancels_its_call() {
    let server = Server::start(&[], hang).await;
    let client = server.raw(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    server.wait_for_metric("http_requests_in_flight 1").await;
    drop(client);
    server.wait_for_metric("http_requests_in_flight 0").await;
    server.wait_for_metric("http_requests_total{code=\"499\",method=\"get\"} 1").await;
}

#[tokio::test]
async fn slow_clients_are_cut() {
    let server = Server::start(&[("read_timeout", "200ms")], echo).await;
    for (sent, wanted) in [
        ("", ""),
        ("GET / HTTP/1.1\r\nhost:", ""),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc", "HTTP/1.1 408 "),
    ] {
        let answer = server.raw(sent.as_bytes()).await.read_to_close().await;
        assert!(answer.starts_with(wanted) && answer.is_empty() == wanted.is_empty(), "{sent:?}: {answer}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_reply_is_cut() {
    let server = Server::start(&[("write_timeout", "50ms")], |_| async {
        let mut reply = Reply::empty(StatusCode::OK);
        reply.body = vec![0; 64 << 20].into();
        Answer::Ok(reply)
    })
    .await;
    let mut client = server.raw(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // Finds out by writing, without ever reading: the peer has reset or closed the connection.
    let cut = async {
        while client.0.write_all(b"\r\n").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, cut).await.unwrap();
}

#[tokio::test]
async fn an_oversized_head_or_what_is_no_http_is_refused() {
    let server = Server::start(&[], echo).await;
    let long = "x".repeat(100_000);
    let many = "a: b\r\n".repeat(1000);
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\nhost: x\r\nlong: {long}\r\n\r\n"), "431"),
        (format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"), "431"),
        ("\x16\x03\x01 this is not HTTP\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n".to_owned(), "400"),
    ] {
        let answer = server.raw(request.as_bytes()).await.read_to_close().await;
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
    }
    assert_eq!(server.get("/").await.status(), 200);
}
