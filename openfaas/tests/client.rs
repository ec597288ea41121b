//! The client against a server that answers as a gateway does.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise")]

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use openfaas::client::{Client, ClientError, Credentials, Deployed, LogQuery};
use openfaas::types::{DeleteFunctionRequest, FunctionDeployment, FunctionStatus, ScaleRequest, Secret};

async fn serve(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

async fn client(router: Router) -> Client {
    Client::new(&format!("http://{}", serve(router).await), None).unwrap()
}

fn deployment(name: &str) -> FunctionDeployment {
    FunctionDeployment { service: name.to_owned(), image: "i:1".to_owned(), ..FunctionDeployment::default() }
}

fn functions() -> Router {
    let update = put(|Json(body): Json<FunctionDeployment>| async move {
        match body.service.as_str() {
            "old" => (StatusCode::ACCEPTED, String::new()),
            "Bad" => (StatusCode::BAD_REQUEST, "validation failed: Bad\nsecond line".to_owned()),
            _ => (StatusCode::NOT_FOUND, "not found\n".to_owned()),
        }
    });
    Router::new()
        .route(
            "/system/functions",
            update
                .post(|Json(body): Json<FunctionDeployment>| async move {
                    if body.service == "full" {
                        StatusCode::INSUFFICIENT_STORAGE
                    } else {
                        StatusCode::ACCEPTED
                    }
                })
                .get(async || Json([FunctionStatus { name: "old".to_owned(), ..FunctionStatus::default() }]))
                .merge(delete(|Json(body): Json<DeleteFunctionRequest>| async move {
                    if body.function_name == "old" { StatusCode::ACCEPTED } else { StatusCode::NOT_FOUND }
                })),
        )
        .route(
            "/system/function/{name}",
            get(|Path(name): Path<String>| async move {
                match name.as_str() {
                    "old" => (StatusCode::OK, r#"{"name":"old","replicas":2}"#),
                    "odd" => (StatusCode::OK, "<html>"),
                    _ => (StatusCode::NOT_FOUND, ""),
                }
            }),
        )
        .route(
            "/system/scale-function/{name}",
            post(|Path(name): Path<String>, Json(body): Json<ScaleRequest>| async move {
                assert_eq!((name, body.replicas), (body.service_name, 3));
                StatusCode::ACCEPTED
            }),
        )
}

#[tokio::test]
async fn deploys_by_update_then_by_creation() {
    let client = client(functions()).await;
    assert_eq!(client.deploy(&deployment("old")).await.unwrap(), Deployed::Updated);
    assert_eq!(client.deploy(&deployment("new")).await.unwrap(), Deployed::Created);
    let url = format!("{}/system/functions", client.gateway());
    let refused = client.deploy(&deployment("Bad")).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("PUT {url}: status 400: validation failed: Bad"));
    let full = client.deploy(&deployment("full")).await.unwrap_err();
    assert_eq!(full.to_string(), format!("POST {url}: status 507: "));
}

#[tokio::test]
async fn lists_gets_scales_and_removes() {
    let client = client(functions()).await;
    assert_eq!(client.list().await.unwrap()[0].name, "old");
    assert_eq!(client.get("old").await.unwrap().unwrap().replicas, 2);
    assert!(client.get("none").await.unwrap().is_none());
    let odd = client.get("odd").await.unwrap_err().to_string();
    assert!(
        odd.starts_with(&format!("GET {}/system/function/odd: the answer is wrong: ", client.gateway())),
        "{odd}"
    );
    assert!(odd.ends_with(" in \"<html>\""), "{odd}");
    client.scale("old", 3).await.unwrap();
    client.remove("old").await.unwrap();
    assert_eq!(client.remove("none").await.unwrap_err().status(), Some(404));
}

#[tokio::test]
async fn credentials_go_to_the_system_routes_only() {
    async fn authorization(headers: HeaderMap) -> String {
        headers.get("authorization").map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    }
    let router = Router::new()
        .route("/system/function/f", get(|h| async { (StatusCode::UNAUTHORIZED, authorization(h).await) }))
        .route("/function/f", post(authorization));
    let address = serve(router).await;
    let credentials = Credentials { user: "admin".to_owned(), password: "hush".to_owned() };
    assert!(!format!("{credentials:?}").contains("hush"));
    let client = Client::new(&format!("http://{address}"), Some(credentials)).unwrap();
    let error = client.get("f").await.unwrap_err().to_string();
    assert!(error.ends_with("status 401: Basic YWRtaW46aHVzaA=="), "{error}");
    assert_eq!(client.invoke("f", Vec::new(), HeaderMap::new()).await.unwrap().body, b"");
}

#[tokio::test]
async fn invokes_with_body_and_headers_whatever_the_status() {
    let echo = |headers: HeaderMap, body: Bytes| async move {
        (StatusCode::IM_A_TEAPOT, [("x-call-id", headers["x-call-id"].clone())], body)
    };
    let router = Router::new().route("/function/f", post(echo)).route("/async-function/f", post(echo));
    let client = client(router).await;
    let headers = || HeaderMap::from_iter([("x-call-id".parse().unwrap(), "7".parse().unwrap())]);
    for reply in [
        client.invoke("f", b"ping".to_vec(), headers()).await.unwrap(),
        client.invoke_async("f", b"ping".to_vec(), headers()).await.unwrap(),
    ] {
        assert_eq!((reply.status, reply.body.as_slice()), (418, b"ping".as_slice()));
        assert_eq!(reply.headers["x-call-id"], "7");
    }
    // A name can't climb out of its path segment.
    assert_eq!(client.invoke("../system/x", Vec::new(), headers()).await.unwrap().status, 404);
}

#[tokio::test]
async fn a_call_that_takes_too_long_says_so() {
    let router = Router::new().route("/function/slow", post(std::future::pending::<()>));
    let client = client(router).await.with_timeout(Duration::from_millis(20));
    let error = client.invoke("slow", Vec::new(), HeaderMap::new()).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("POST {}/function/slow: no answer in time", client.gateway())),
        "{error}"
    );
}

#[tokio::test]
async fn streams_log_lines_and_refuses_others() {
    let line = |text: &str| {
        format!(r#"{{"name":"f","namespace":"n","instance":"i","timestamp":"t","text":"{text}"}}"#)
    };
    let body = format!("{}\n\n{}", line("one"), line("two"));
    let router = Router::new().route(
        "/system/logs",
        get(|RawQuery(query): RawQuery| async move {
            match query.as_deref() {
                Some("name=f&follow=true&tail=-1") => (StatusCode::OK, body),
                Some("name=g&follow=false&tail=5&since=2026-01-01T00%3A00%3A00Z") => {
                    (StatusCode::OK, "no json\n".to_owned())
                }
                other => (StatusCode::NOT_FOUND, format!("no logs for {other:?}")),
            }
        }),
    );
    let client = client(router).await;
    let mut lines = client.logs("f", &LogQuery { follow: true, ..LogQuery::default() }).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap().text, "one");
    assert_eq!(lines.next().await.unwrap().unwrap().text, "two");
    assert!(lines.next().await.unwrap().is_none());
    let query = LogQuery { follow: false, tail: Some(5), since: Some("2026-01-01T00:00:00Z".to_owned()) };
    let wrong = client.logs("g", &query).await.unwrap().next().await.unwrap_err().to_string();
    assert!(
        wrong.contains("the answer is wrong: ") && wrong.ends_with("in the line \"no json\\n\""),
        "{wrong}"
    );
    let missing = client.logs("h", &LogQuery::default()).await.unwrap_err();
    assert_eq!(missing.status(), Some(404));
    assert!(missing.to_string().contains("404: no logs for Some"), "{missing}");
}

#[tokio::test]
async fn a_secret_that_exists_is_replaced() {
    let router = Router::new().route(
        "/system/secrets",
        post(async || StatusCode::CONFLICT).put(|Json(secret): Json<Secret>| async move {
            assert_eq!(secret.value.as_deref(), Some("v"));
            StatusCode::ACCEPTED
        }),
    );
    let secret = Secret { name: "s".to_owned(), value: Some("v".to_owned()), ..Secret::default() };
    client(router).await.put_secret(&secret).await.unwrap();
}

#[tokio::test]
async fn waits_for_health_and_reports_the_last_failure() {
    let healthy = Router::new().route("/healthz", get(async || "OK"));
    client(healthy).await.wait_until_healthy(Duration::from_secs(10)).await.unwrap();
    let starting =
        Router::new().route("/healthz", get(async || (StatusCode::SERVICE_UNAVAILABLE, "starting")));
    let error = client(starting).await.wait_until_healthy(Duration::from_millis(50)).await.unwrap_err();
    assert!(error.to_string().ends_with("/healthz: status 503: starting"), "{error}");
    // Bound and dropped: nobody listens there.
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let absent = Client::new(&format!("http://{unused}"), None).unwrap();
    let error = absent.wait_until_healthy(Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, ClientError::NoAnswer { .. }), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[test]
fn an_address_that_is_none_is_refused() {
    for (address, message) in [
        (
            "gateway",
            "the gateway's address is \"gateway\" (relative URL without a base), wanted http://HOST[:PORT]",
        ),
        (
            "https://g",
            "the gateway's address is \"https://g\" (it begins with https:), wanted http://HOST[:PORT]",
        ),
    ] {
        assert_eq!(Client::new(address, None).unwrap_err().to_string(), message);
    }
}
