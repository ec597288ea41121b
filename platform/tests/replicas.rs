//! Counting replicas, against a server that answers as OpenFaaS' gateway does.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop at the first surprise")]

use axum::Router;
use axum::extract::Path;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use platform::replicas::Replicas;
use platform::settings::Settings;

/// `admin:open sesame`, as basic authentication sends it.
const ADMIN: &str = "Basic YWRtaW46b3BlbiBzZXNhbWU=";

/// A gateway with a password, on which one function has three replicas, two of them ready.
async fn gateway() -> String {
    let handler = |Path(name): Path<String>, headers: HeaderMap| async move {
        if headers.get(AUTHORIZATION).is_none_or(|given| given != ADMIN) {
            return (StatusCode::UNAUTHORIZED, "invalid credentials".to_owned());
        }
        if name != "emnist-train" {
            return (StatusCode::NOT_FOUND, "no such function".to_owned());
        }
        let status = serde_json::json!({"name": name, "image": "i", "replicas": 3, "availableReplicas": 2});
        (StatusCode::OK, status.to_string())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/system/function/{name}", get(handler));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn settings(given: &[(&str, &str)]) -> Settings {
    let lookup = |name: &str| {
        given.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    };
    Settings::from_environment(lookup).unwrap()
}

#[tokio::test]
async fn ready_replicas_are_counted_with_the_gateways_password() {
    let (gateway, secrets) = (gateway().await, tempfile::tempdir().unwrap());
    std::fs::write(secrets.path().join("gateway"), "open sesame\n").unwrap();
    let lookup =
        |name: &str| (name == "secret_mount_path").then(|| secrets.path().to_string_lossy().into_owned());
    let with = settings(&[("gateway_hostname", &gateway), ("gateway_password_secret", "gateway")]);
    let replicas = Replicas::of(&with, lookup).unwrap();
    assert_eq!(replicas.ready("emnist-train").await.unwrap(), 2);
    let unknown = replicas.ready("other").await.unwrap_err().to_string();
    assert_eq!(unknown, "the gateway knows no function other");

    let without = settings(&[("gateway_hostname", &gateway)]);
    let refused =
        Replicas::of(&without, lookup).unwrap().ready("emnist-train").await.unwrap_err().to_string();
    assert!(refused.contains("gateway_password_secret names the secret that has it"), "{refused}");
    let missing = settings(&[("gateway_password_secret", "none-such")]);
    let missing = Replicas::of(&missing, lookup).unwrap_err().to_string();
    assert!(missing.starts_with("gateway_password_secret: ") && missing.contains("none-such"), "{missing}");
}

#[test]
fn without_a_gateway_nobody_counts_them() {
    let past = settings(&[("function_url", "http://{function}.openfaas-fn:8080")]);
    let error = Replicas::of(&past, |_| None).unwrap_err().to_string();
    assert!(error.contains("http://{function}.openfaas-fn:8080, which needs none"), "{error}");
}
