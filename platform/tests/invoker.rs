//! The invoker against servers that refuse at first.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use platform::invoker::{CALL_ID, Call, HttpInvoker, InvokeError, Invoker, UrlTemplate, fan_out, retrying};
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(30);

/// What came: for each call its attempts' bodies.
type Seen = Arc<Mutex<BTreeMap<String, Vec<Bytes>>>>;

fn calls_at(template: &str, gateway: &str) -> HttpInvoker {
    HttpInvoker::new(&UrlTemplate::parse(template).unwrap(), gateway, LONG).unwrap()
}

/// A gateway whose functions are named by what they do.
async fn serve() -> (HttpInvoker, Seen) {
    let seen = Seen::default();
    let log = seen.clone();
    let handler = move |Path(name): Path<String>, headers: HeaderMap, body: Bytes| async move {
        let call = headers[CALL_ID].to_str().unwrap().to_owned();
        let attempts = {
            let mut seen = log.lock().unwrap();
            let bodies = seen.entry(call).or_default();
            bodies.push(body.clone());
            bodies.len()
        };
        let refusals = [429, 502, 503, 504];
        match name.as_str() {
            "refuses-four-times" if attempts <= refusals.len() => {
                (StatusCode::from_u16(refusals[attempts - 1]).unwrap(), Bytes::from("later"))
            }
            "always-full" => (StatusCode::TOO_MANY_REQUESTS, Bytes::from("full\nof calls")),
            "broken" => (StatusCode::INTERNAL_SERVER_ERROR, Bytes::from("broken")),
            "hangs" => std::future::pending().await,
            _ => (StatusCode::ACCEPTED, body),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/function/{name}", post(handler));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (calls_at("{gateway}/function/{function}", &gateway), seen)
}

/// A function that gives every call this status; its address.
async fn replica(status: StatusCode) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().fallback(move || async move { (status, address.to_string()) });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// As a Kubernetes Service does: each connection goes to the next of these, whatever comes over it.
async fn balance(replicas: Vec<SocketAddr>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for replica in replicas.iter().cycle() {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = tokio::net::TcpStream::connect(replica).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    address
}

fn later(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

#[tokio::test]
async fn each_attempt_is_the_same_call() {
    let (invoker, seen) = serve().await;
    let reply =
        retrying(&invoker, "refuses-four-times", b"body".to_vec(), "call-1", Instant::now() + LONG).await;
    assert_eq!((reply.as_ref().unwrap().status, reply.unwrap().body), (202, b"body".to_vec()));
    assert_eq!(seen.lock().unwrap()["call-1"], vec![Bytes::from("body"); 5]);
}

#[tokio::test]
async fn an_answer_that_means_no_is_not_tried_again() {
    let (invoker, seen) = serve().await;
    let reply = retrying(&invoker, "broken", Vec::new(), "c", Instant::now() + LONG).await.unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (500, b"broken".as_slice()));
    assert_eq!(seen.lock().unwrap()["c"].len(), 1);
}

#[tokio::test]
async fn the_deadline_ends_it_with_the_last_failure() {
    let (invoker, _) = serve().await;
    let error = retrying(&invoker, "always-full", Vec::new(), "c", later(100)).await.unwrap_err().to_string();
    assert!(error.starts_with("always-full: no success in "), "{error}");
    assert!(error.ends_with(" attempts until the deadline; the last: status 429: full"), "{error}");
    let error = retrying(&invoker, "hangs", Vec::new(), "c", later(50)).await.unwrap_err().to_string();
    assert_eq!(error, "hangs: no success in 1 attempts until the deadline; the last: not answered");
    // Bound and dropped: nobody listens there.
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let absent = calls_at("{gateway}/function/{function}", &format!("http://{unused}"));
    let error = retrying(&absent, "f", Vec::new(), "c", later(50)).await.unwrap_err().to_string();
    assert!(error.contains(&format!("the last: POST http://{unused}/function/f: ")), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn an_attempt_that_hangs_is_given_up() {
    let (invoker, _) = serve().await;
    let invoker = invoker.with_timeout(Duration::from_millis(20));
    let error = invoker.invoke("hangs", Vec::new(), "c").await.unwrap_err();
    assert!(
        matches!(&error, InvokeError::NoAnswer(reason) if reason.contains("no answer in time")),
        "{error}"
    );
}

#[tokio::test]
async fn all_calls_run_at_once_and_answers_keep_their_order() {
    let (invoker, seen) = serve().await;
    let calls: Vec<_> =
        (0..20).map(|n| Call { call_id: format!("call-{n}"), body: n.to_string().into_bytes() }).collect();
    let answers =
        fan_out(Arc::new(invoker.clone()), "refuses-four-times", calls.clone(), Instant::now() + LONG).await;
    for (answer, call) in answers.iter().zip(&calls) {
        assert_eq!(answer.as_ref().unwrap().body, call.body);
    }
    let named: BTreeSet<_> = calls.iter().map(|call| call.call_id.clone()).collect();
    assert_eq!(seen.lock().unwrap().keys().cloned().collect::<BTreeSet<_>>(), named);
    let none = fan_out(Arc::new(invoker), "always-full", calls, later(20)).await;
    assert!(none.iter().all(|answer| matches!(answer, Err(InvokeError::Deadline { .. }))));
    assert_eq!(none.len(), 20);
}

#[tokio::test]
async fn what_makes_no_call_is_refused_at_once() {
    let (invoker, _) = serve().await;
    for name in ["", "..", "a/b", "a?b", "ä"] {
        let error =
            retrying(&invoker, name, Vec::new(), "c", Instant::now() + LONG).await.unwrap_err().to_string();
        assert_eq!(error, format!("the function's name is {name:?}, wanted letters, digits, -, _ and ."));
    }
    let error =
        retrying(&invoker, "f", Vec::new(), "a\nb", Instant::now() + LONG).await.unwrap_err().to_string();
    assert_eq!(error, "the call's name is \"a\\nb\", wanted visible ASCII");
    let error = HttpInvoker::new(&UrlTemplate::queue(), "g", LONG).unwrap_err().to_string();
    assert!(error.starts_with("the address of functions is \"g/async-function/f\", wanted "), "{error}");
}

#[tokio::test]
async fn a_retry_reaches_another_replica_behind_a_balancer_of_connections() {
    let (full, free) = (replica(StatusCode::TOO_MANY_REQUESTS).await, replica(StatusCode::ACCEPTED).await);
    let service = balance(vec![full, full, free]).await;
    let invoker = calls_at(&format!("http://{service}/{{function}}"), "");
    let reply = retrying(&invoker, "f", Vec::new(), "c", Instant::now() + LONG).await.unwrap();
    assert_eq!((reply.status, reply.body), (202, free.to_string().into_bytes()));
}

#[tokio::test]
async fn calls_one_after_the_other_spread_over_a_service() {
    let replicas =
        [replica(StatusCode::OK).await, replica(StatusCode::OK).await, replica(StatusCode::OK).await];
    let service = balance(replicas.to_vec()).await;
    let invoker = calls_at(&format!("http://{service}/{{function}}"), "");
    let mut answered = BTreeSet::new();
    for _ in 0..3 {
        answered.insert(String::from_utf8(invoker.invoke("f", Vec::new(), "c").await.unwrap().body).unwrap());
    }
    assert_eq!(answered, replicas.map(|replica| replica.to_string()).into());
}
