//! Calls of functions through the gateway.

mod support;

use reqwest::{Method, StatusCode};
use serde_json::json;
use support::{Platform, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test(flavor = "multi_thread")]
async fn request_and_answer_pass_with_the_gateways_headers() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let request = platform.request(Method::PATCH, "/function/fn/echo?a=1&b=%20").body("text");
    let request = request.header("x-own", "1").header("connection", "x-hop").header("x-hop", "1");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let got = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(got("got-line").unwrap(), "PATCH /echo?a=1&b=%20");
    assert_eq!(got("got-x-own").unwrap(), "1");
    assert_eq!(got("got-x-hop"), None);
    assert_eq!(got("got-x-call-id"), got("x-call-id"));
    assert_eq!(got("x-call-id").unwrap().len(), 36);
    assert_eq!(got("got-x-start-time"), got("x-start-time"));
    assert_eq!(got("got-x-forwarded-for").unwrap(), "127.0.0.1");
    assert_eq!(got("got-x-forwarded-host").unwrap(), platform.gateway().address().to_string());
    assert_eq!(response.text().await.unwrap(), "text");

    let given = platform.request(Method::GET, "/function/fn/echo").header("x-call-id", "mine");
    let response = given.send().await.unwrap();
    assert_eq!(response.headers()["got-x-call-id"], "mine");
    assert!(!response.headers().contains_key("x-call-id"), "an id of the caller's own is only passed on");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_stream_both_ways() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let body: Vec<u8> = (0..8_000_000_u32).map(|n| n as u8).collect();
    let response = platform.post("/function/fn/echo", body.clone()).await;
    assert!(response.bytes().await.unwrap() == body);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_openfaas_statuses() {
    let platform = Platform::start_with(|config| {
        config.upstream_timeout = std::time::Duration::from_millis(300);
        config.ready_timeout = std::time::Duration::from_millis(100);
    });
    platform.deploy("fn", json!({})).await;
    platform.deploy_unready("never", json!({"envVars": {"ready_when": "/nonexistent/file"}})).await;
    let answer = async |path: &str| {
        let response = platform.get(path).await;
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(answer("/function/fn/slow?ms=60000").await, (502, String::new()));
    assert_eq!(answer("/function/never").await, (503, "No endpoints available for: never.\n".into()));
    let crashed = platform.post("/function/fn/crash", "").await;
    assert_eq!(crashed.status(), 502);
    assert_eq!(crashed.headers()["x-openfaas-internal"], "proxy");
    assert_eq!(
        crashed.text().await.unwrap(),
        "A replica of fn closed the connection before it had answered.\n"
    );
    assert_eq!(answer("/function/none").await.0, 404);
    assert_eq!(answer("/function/fn.other/pod").await.0, 404);
    assert_eq!(answer("/function/fn%2Fx").await.0, 400);
    assert_eq!(answer("/nowhere").await, (404, "404 page not found\n".into()));
    assert_eq!(platform.get("/async-function/fn").await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_replica_ends_is_made_again_where_that_changes_nothing() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    let path = |name: &str| format!("/function/fn/crash-once?file={}", platform.path(name).display());
    assert_eq!(platform.text(&path("got")).await, "alive");
    assert_eq!(platform.post(&path("posted"), "").await.status(), 502);
    // Once, so that a call that ends its replica does not end all of them.
    assert_eq!(platform.get("/function/fn/crash").await.status(), 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_at_its_limit_is_passed_over() {
    let platform = Platform::start();
    platform.deploy("fn", json!({"labels": {"com.openfaas.scale.min": "2"}})).await;
    let free = platform.text("/function/fn/pod").await;
    for _ in 0..10 {
        assert_eq!(platform.text(&format!("/function/fn/limit?but={free}")).await, free);
    }
    let response = platform.get("/function/fn/limit").await;
    assert_eq!(response.status(), 429, "where all are at their limit, the caller is told");
    assert_eq!(response.headers()["x-openfaas-internal"], "faas-middleware");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_get_a_clean_environment() {
    let platform = Platform::start_with(|config| {
        config.environment = [("store_url", "redis://redis:6379"), ("colour", "blue")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        config.addresses = vec![("redis://redis:6379".to_owned(), "redis://127.0.0.1:7000".to_owned())];
    });
    let set = json!({"colour": "red", "port": "1", "gateway": "http://gateway.openfaas:8080/function/fn"});
    platform.deploy("fn", json!({"envVars": set})).await;
    let names = platform.text("/function/fn/variables").await;
    let foreign: Vec<&str> = names.lines().filter(|name| name.starts_with("CARGO")).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    let address = platform.gateway().address();
    for (name, value) in [
        ("colour", "red".to_owned()),
        ("store_url", "redis://127.0.0.1:7000".to_owned()),
        ("gateway", format!("http://{address}/function/fn")),
        ("bind_address", "127.0.0.1".to_owned()),
        ("OPENFAAS_NAME", "fn".to_owned()),
        ("OPENFAAS_NAMESPACE", "openfaas-fn".to_owned()),
        ("exit_on_stdin_close", "true".to_owned()),
    ] {
        assert_eq!(platform.text(&format!("/function/fn/variable?name={name}")).await, value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted() {
    let platform = Platform::start();
    platform.deploy("fn", json!({})).await;
    platform.text("/function/fn/pod").await;
    platform.get("/function/fn/none").await;
    assert_eq!(platform.status("fn").await.invocation_count, 2.0);
    let metrics = platform.text("/metrics").await;
    for line in [
        "gateway_function_invocation_total{function_name=\"fn.openfaas-fn\",code=\"200\"} 1",
        "gateway_function_invocation_total{function_name=\"fn.openfaas-fn\",code=\"404\"} 1",
        "gateway_service_count{function_name=\"fn.openfaas-fn\"} 1",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let usage = platform.text("/system/function/fn?usage=1").await;
    assert!(usage.contains("\"totalMemoryBytes\":"), "{usage}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_a_replica_that_is_starting() {
    let platform = Platform::start();
    let ready_when = platform.path("ready");
    platform.deploy_unready("fn", json!({"envVars": {"ready_when": ready_when}})).await;
    let call = tokio::spawn(platform.request(Method::GET, "/function/fn/pod").send());
    eventually(async || (platform.status("fn").await.invocation_count > 0.0).then_some(())).await;
    assert!(!call.is_finished());
    std::fs::write(&ready_when, "").unwrap();
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_stream_as_they_come_and_longer_than_the_timeout() {
    let platform =
        Platform::start_with(|config| config.upstream_timeout = std::time::Duration::from_millis(300));
    platform.deploy("fn", json!({})).await;
    let until = platform.path("until");
    let mut response = platform.get(&format!("/function/fn/stream?until={}", until.display())).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: first\n\n");
    tokio::time::sleep(std::time::Duration::from_millis(400)).await;
    std::fs::write(&until, "").unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "data: second\n\n");
    assert_eq!(response.chunk().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_go_over_to_another_protocol() {
    let platform = Platform::start();
    let labels = json!({"com.openfaas.scale.zero": "true", "com.openfaas.scale.zero-duration": "50ms"});
    platform.deploy_unready("fn", json!({"labels": labels})).await;
    platform.deploy_unready("idle", json!({"labels": labels})).await;
    let mut socket = tokio::net::TcpStream::connect(platform.gateway().address()).await.unwrap();
    let request = "GET /function/fn/upgrade HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive, Upgrade\r\n\
                   upgrade: shouting\r\n\r\n";
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 101 ") && head.contains("\r\nupgrade: shouting\r\n"), "{head}");
    // As long as it is open it is a call: the function does not go to zero, as another does meanwhile.
    platform.until("idle", |status| status.replicas == 0).await;
    for word in ["one", "two"] {
        socket.write_all(word.as_bytes()).await.unwrap();
        let mut answer = [0; 3];
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(std::str::from_utf8(&answer).unwrap(), word.to_uppercase());
    }
    drop(socket);
    platform.until("fn", |status| status.replicas == 0).await;
    let response = platform.get("/function/fn/upgrade").await;
    assert_eq!(
        response.status(),
        StatusCode::UPGRADE_REQUIRED,
        "without the headers it is a call like any other"
    );
}
