//! As much of Kubernetes' API as an unchanged kubectl needs to look at functions and replicas, to scale functions, to
//! read logs and to delete pods.
//!
//! A function is a deployment, the replicas of one of its versions are a replica set, and a replica is a pod, all in
//! the namespace `openfaas-fn`. Everything is made of what the supervisor knows; nothing is stored, and nothing can
//! be created here: that is what OpenFaaS's API is for. Tests in `tests/kubernetes*.rs` send what kubectl sends.
//!
//! # Layout
//! - `kind`, `discovery`: what there is to ask for
//! - `target`, `selector`, `body`: what a request asks for
//! - `objects`, `store`: the objects, their versions, and what changed
//! - `requests`, `table`, `watch`, `logs`, `pods`, `scale`, `failure`: the answers

pub(crate) mod body;
mod discovery;
mod failure;
mod kind;
mod logs;
mod objects;
mod pods;
mod requests;
mod scale;
mod selector;
mod store;
mod table;
pub(crate) mod target;
mod watch;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};

pub(crate) use self::store::Store;

use self::failure::Failure;
use crate::Shared;
use crate::auth::{self, Rejection};

/// The version of Kubernetes' API that this is a part of.
const VERSION: (u8, u8) = (1, 32);
/// The same as a version of a server.
const SERVER_VERSION: &str = concat!("v1.32.0+downpour-", env!("CARGO_PKG_VERSION"));

/// The routes.
pub(crate) fn router(shared: &Shared) -> Router<Shared> {
    Router::new()
        .route("/version", get(discovery::version))
        .route("/api", get(discovery::core_versions))
        .route("/api/v1", get(discovery::core_resources))
        .route("/apis", get(discovery::groups))
        .route("/apis/apps", get(discovery::group))
        .route("/apis/apps/v1", get(discovery::apps_resources))
        .route("/openapi/v3", get(discovery::openapi))
        .route("/openapi/v3/{*path}", get(discovery::openapi_group))
        .route("/api/v1/{*path}", any(requests::core))
        .route("/apis/apps/v1/{*path}", any(requests::apps))
        .route("/api/{*path}", any(unknown))
        .route("/apis/{*path}", any(unknown))
        .method_not_allowed_fallback(async || Failure::no_method())
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
}

async fn unknown() -> Failure {
    Failure::unknown()
}

/// As for `/system`. A client of Kubernetes sends credentials over plain HTTP to a proxy only, so that is how it is
/// told to see the gateway.
async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    match auth::admit(&shared, request.headers(), &[AUTHORIZATION, PROXY_AUTHORIZATION]) {
        Ok(()) => next.run(request).await,
        Err(Rejection::Credentials) => Failure::unauthorized().into_response(),
        Err(Rejection::WebPage) => {
            Failure::forbidden("web pages may not use this without basic authentication").into_response()
        }
    }
}
