//! Decoders of what is sent to the gateway, with what has to hold for whatever they are given: for the package
//! `fuzz`, nobody else. Each returns whether it took them for what they may be.

use std::future::Future;
use std::path::{Component, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use openfaas::types::{DeleteFunctionRequest, FunctionDeployment, ScaleRequest, Secret};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::builder::archive::Contents;
use crate::images::ImageName;
use crate::kubernetes::body::{read_json, read_merge_patch};
use crate::kubernetes::target::{ListOptions, Target};
use crate::queue::policy::retry_after;
use crate::routes::{alert, function_name};
use crate::specification::Specification;
use crate::supervisor::idler::in_flight;

/// The body of a deployment.
pub fn deployment(bytes: &[u8]) -> bool {
    body::<FunctionDeployment>(bytes).is_some_and(|deployment| {
        let image = ImageName::parse(&deployment.image);
        Specification::read(&deployment).is_ok() && image.is_ok()
    })
}

/// The other bodies under `/system`.
pub fn messages(bytes: &[u8]) -> bool {
    // Each of them is asked.
    [
        body::<ScaleRequest>(bytes).is_some(),
        body::<DeleteFunctionRequest>(bytes).is_some(),
        body::<Secret>(bytes).is_some(),
        body::<alert::Message>(bytes).is_some(),
    ]
    .contains(&true)
}

/// The tar of a build: each path in it has to stay below the context.
pub fn context(bytes: &[u8]) -> bool {
    let Ok(contents) = Contents::read(bytes) else { return false };
    let inside = |path: &PathBuf| path.components().all(|part| matches!(part, Component::Normal(_)));
    assert!(contents.nodes.keys().all(inside));
    contents.digest();
    true
}

/// A request to the kubectl API: a path, a query and a body, a line each.
pub fn kubernetes(bytes: &[u8]) -> bool {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut text = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let (path, query) = (text(), text());
    let body = lines.next().unwrap_or_default();
    let patch =
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/merge-patch+json"))]);
    let _ = read_merge_patch(&patch, body);
    let object = read_json(&HeaderMap::new(), body).unwrap_or(Value::Null);
    let selects = |group| {
        let options = ListOptions::parse(Target::parse(group, &path)?.kind, &query).ok()?;
        Some(options.selector.matches(&object))
    };
    ["", "apps"].map(selects).contains(&Some(true))
}

/// What stands in paths, headers and answers: a function's name, a time to wait, a replica's metrics.
pub fn texts(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    function_name(&text).is_ok() | retry_after(&text).is_some() | (in_flight(&text) > 0.0)
}

fn body<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let body = Body::from(Bytes::copy_from_slice(bytes));
    let read = pin!(crate::routes::read_json(body));
    // All of it is there, so it never waits.
    match read.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => read.ok(),
        Poll::Pending => None,
    }
}
