//! The order in which a server ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests stop at the first surprise"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Answer, Server, echo};
use tokio::sync::Semaphore;
use watchdog::{Call, Reply, StatusCode, Stop};

/// Answers when it is told to stop.
async fn until_shutdown(call: Call) -> Answer {
    call.shutdown().requested().await;
    Ok(Reply::text(StatusCode::OK, "finished"))
}

#[tokio::test]
async fn during_the_drain_delay_it_is_unhealthy_and_serves() {
    let server = Server::start(&[("healthcheck_interval", "1h")], until_shutdown).await;
    let (address, lock) = (server.address, server.lock_file());
    let call = tokio::spawn(reqwest::get(server.url("/")));
    server.wait_for_metric("http_requests_in_flight 1").await;
    let stopping = server.stop(Stop::AfterDrainDelay);
    assert_eq!(call.await.unwrap().unwrap().text().await.unwrap(), "finished");
    assert!(!lock.exists());
    for (path, status) in [("/_/health", 503), ("/_/ready", 503), ("/another", 200)] {
        assert_eq!(reqwest::get(format!("http://{address}{path}")).await.unwrap().status(), status, "{path}");
    }
    assert!(!stopping.is_over());
}

#[tokio::test]
async fn it_ends_when_the_last_call_is_answered() {
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::start(&[("healthcheck_interval", "0")], {
        let gate = Arc::clone(&gate);
        move |call: Call| {
            let gate = Arc::clone(&gate);
            async move {
                call.shutdown().requested().await;
                let _open = gate.acquire().await.unwrap();
                Answer::Ok(Reply::text(StatusCode::OK, "finished"))
            }
        }
    })
    .await;
    let address = server.address;
    let call = tokio::spawn(reqwest::get(server.url("/")));
    server.wait_for_metric("http_requests_in_flight 1").await;
    let stopping = server.stop(Stop::AfterDrainDelay);
    let refused = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(common::PATIENCE, refused).await.expect("it goes on accepting");
    assert!(!stopping.is_over());
    gate.add_permits(1);
    assert_eq!(call.await.unwrap().unwrap().text().await.unwrap(), "finished");
    stopping.ended().await;
}

#[tokio::test]
async fn it_waits_for_a_thread_that_works_on_after_the_reply() {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ended = Arc::new(std::sync::Mutex::new(ended));
    let server = Server::start(&[], move |call: Call| {
        let ended = Arc::clone(&ended);
        async move {
            let (in_flight, shutdown) = (call.in_flight(), call.shutdown());
            std::thread::spawn(move || {
                let _ = ended.lock().unwrap().recv();
                assert!(shutdown.is_requested());
                drop(in_flight);
            });
            Answer::Ok(Reply::empty(StatusCode::ACCEPTED))
        }
    })
    .await;
    assert_eq!(server.get("/").await.status(), 202);
    let stopping = server.stop(Stop::Now);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!stopping.is_over());
    end.send(()).unwrap();
    stopping.ended().await;
}

#[tokio::test]
async fn it_waits_no_longer_than_write_timeout() {
    let server = Server::start(&[("write_timeout", "50ms")], |call: Call| async move {
        let in_flight = call.in_flight();
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(in_flight);
        });
        Answer::Ok(Reply::empty(StatusCode::ACCEPTED))
    })
    .await;
    assert_eq!(server.get("/").await.status(), 202);
    server.stop(Stop::Now).ended().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let server = Server::start(&[("write_timeout", "1h"), ("read_timeout", "0")], echo).await;
    let mut silent = server.raw(b"").await;
    let mut kept_alive = server.raw(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut kept_alive.0, &mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    server.stop(Stop::Now).ended().await;
    silent.read_to_close().await;
    kept_alive.read_to_close().await;
}
