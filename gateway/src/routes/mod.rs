//! The REST API of OpenFaaS's gateway.

pub(crate) mod alert;
mod async_function;
mod build;
mod function;
mod functions;
mod info;
mod logs;
mod scale;
mod secrets;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{any, get, post};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use openfaas::names::FunctionRef;
use serde::de::DeserializeOwned;

use crate::draining::Draining;
use crate::error::Refusal;
use crate::supervisor::check_namespace;
use crate::{Shared, auth, kubernetes};

/// Bytes that the body of a request under `/system` may have.
pub(crate) const SYSTEM_BODY_LIMIT: usize = 1 << 20;

/// All routes.
pub(crate) fn router(shared: Shared) -> Router {
    let guard = middleware::from_fn_with_state(shared.clone(), auth::guard);
    let system = Router::new()
        .route(
            "/functions",
            get(functions::list).post(functions::deploy).put(functions::update).delete(functions::remove),
        )
        .route("/function/{name}", get(functions::describe))
        .route("/scale-function/{name}", post(scale::scale))
        .route("/info", get(info::info))
        .route("/namespaces", get(info::namespaces))
        .route("/namespace/{name}", any(info::namespace))
        .route(
            "/secrets",
            get(secrets::list).post(secrets::create).put(secrets::update).delete(secrets::remove),
        )
        .route("/logs", get(logs::logs))
        .route("/alert", post(alert::alert))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(guard);
    Router::new()
        .nest("/system", system)
        .route("/function/{name}", any(function::invoke))
        .route("/function/{name}/", any(function::invoke))
        .route("/function/{name}/{*path}", any(function::invoke))
        .route("/async-function/{name}", post(async_function::invoke).delete(async_function::cancel))
        .route("/async-function/{name}/", post(async_function::invoke))
        .route("/async-function/{name}/{*path}", post(async_function::invoke).delete(async_function::cancel))
        .route("/build", post(build::build))
        .route("/healthz", get(info::healthz))
        .route("/metrics", get(info::metrics))
        .merge(kubernetes::router(&shared))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .with_state(shared)
}

async fn unknown() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "404 page not found\n")
}

async fn wrong_method() -> (StatusCode, &'static str) {
    (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
}

/// A body of at most `limit` bytes.
pub(crate) async fn read_body(body: Body, limit: usize) -> Result<bytes::Bytes, Refusal> {
    match Limited::new(Draining::wrap(body), limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Refusal::TooLarge(format!("the body has more than {limit} bytes")))
        }
        Err(error) => Err(Refusal::body(&*error)),
    }
}

/// A JSON body, whatever its declared type: faas-cli declares none.
pub(crate) async fn read_json<T: DeserializeOwned>(body: Body) -> Result<T, Refusal> {
    let bytes = read_body(body, SYSTEM_BODY_LIMIT).await?;
    // A list would be taken for a struct's fields in their order, and an empty one for all defaults.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::Invalid("cannot read the body as JSON: wanted an object".to_owned()));
    }
    let mut json = serde_json::Deserializer::from_slice(&bytes);
    let value = serde_path_to_error::deserialize(&mut json);
    // Said as `labels.a: invalid type: integer `1`, expected a string`, with the field in front.
    let wrong = |error: &dyn std::fmt::Display| {
        Refusal::Invalid(format!("cannot read the body as JSON: {}", one_line(&error.to_string())))
    };
    let value = value.map_err(|error| wrong(&error))?;
    json.end().map_err(|error| wrong(&error))?;
    Ok(value)
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// Runs what reads or writes files where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Task)?
}

/// The function that a path segment names, in the one namespace there is.
pub(crate) fn function_name(segment: &str) -> Result<String, Refusal> {
    let function = FunctionRef::parse(segment).map_err(|error| Refusal::Invalid(error.to_string()))?;
    check_namespace(&function.namespace).map_err(Refusal::NotFound)?;
    Ok(function.name)
}

/// The part of a path behind the function's name, and the query, as the function sees them.
fn rest_of(uri: &axum::http::Uri, prefix: &str) -> String {
    let behind = uri.path().strip_prefix(prefix).unwrap_or_default();
    let path = behind.find('/').map_or("/", |slash| &behind[slash..]);
    uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_behind_the_name_are_kept() {
        for (uri, rest) in [
            ("/function/fn", "/"),
            ("/function/fn/", "/"),
            ("/function/fn.openfaas-fn/a/b%20c?x=1&y", "/a/b%20c?x=1&y"),
            ("/function/fn?x", "/?x"),
        ] {
            assert_eq!(rest_of(&uri.parse().unwrap(), "/function/"), rest);
        }
    }

    #[test]
    fn only_the_default_namespace_exists() {
        assert_eq!(function_name("fn.openfaas-fn").unwrap(), "fn");
        assert!(matches!(function_name("fn.other"), Err(Refusal::NotFound(_))));
        assert!(matches!(function_name("f%n"), Err(Refusal::Invalid(_))));
    }
}
