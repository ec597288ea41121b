//! What the gateway says about itself.

use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use openfaas::types::{DEFAULT_NAMESPACE, ProviderInfo, SystemInfo, VersionInfo};

use crate::{Shared, metrics};

pub(super) async fn info() -> Json<SystemInfo> {
    let version = VersionInfo { release: env!("CARGO_PKG_VERSION").to_owned(), ..VersionInfo::default() };
    let provider = ProviderInfo {
        provider: "downpour".to_owned(),
        orchestration: "processes".to_owned(),
        version: version.clone(),
    };
    Json(SystemInfo { provider, version, arch: std::env::consts::ARCH.to_owned() })
}

pub(super) async fn namespaces() -> Json<[&'static str; 1]> {
    Json([DEFAULT_NAMESPACE])
}

/// There is one namespace, which cannot be made or removed.
pub(super) async fn namespace() -> (StatusCode, &'static str) {
    (StatusCode::NOT_IMPLEMENTED, "namespaces cannot be changed here\n")
}

pub(super) async fn healthz(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "OK\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}

pub(super) async fn metrics(State(shared): State<Shared>) -> Response {
    let functions = shared.supervisor.list();
    let replicas = functions.iter().map(|function| (function.name.clone(), function.processes().len()));
    match shared.metrics.encode(replicas) {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
