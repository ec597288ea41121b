//! `/system/logs`: lines of newline-delimited JSON, those so far and, if asked for, those to come.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::Channel;
use serde::Deserialize;

use super::{blocking, function_name};
use crate::Shared;
use crate::error::{Refusal, StorageError};
use crate::following::follow;
use crate::logs::{Selection, as_line, parse_time};
use crate::supervisor::check_namespace;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LogQuery {
    name: String,
    namespace: String,
    instance: String,
    since: String,
    tail: i64,
    follow: bool,
}

pub(super) async fn logs(
    State(shared): State<Shared>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::Unprocessable(error.body_text()))?;
    check_namespace(&query.namespace).map_err(Refusal::NotFound)?;
    let name =
        function_name(&query.name).map_err(|error| Refusal::Unprocessable(format!("name: {error}")))?;
    if shared.supervisor.find(&name).is_none() {
        return Err(Refusal::no_function(&name));
    }
    let selection = Selection {
        instance: Some(query.instance).filter(|instance| !instance.is_empty()),
        since: if query.since.is_empty() { None } else { Some(since(&query.since)?) },
        tail: usize::try_from(query.tail).ok().filter(|tail| *tail > 0),
    };
    let (wanted, server) = (selection.clone(), shared.server.clone());
    let (lines, live) = blocking(move || {
        let log = shared.context.logs.of(&name)?;
        Ok(log.read(&wanted).map_err(StorageError::io("read the log of", name))?)
    })
    .await?;
    let (mut sender, body) = Channel::<Bytes>::new(64);
    let finish = server.clone();
    server.spawn(async move {
        for line in &lines {
            if sender.send_data(as_line(line).into()).await.is_err() {
                return;
            }
        }
        if query.follow {
            tokio::select! {
                () = follow(live, &selection, as_line, std::future::pending(), &mut sender) => {}
                () = finish.draining() => {}
            }
        }
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::new(body)).into_response())
}

fn since(text: &str) -> Result<std::time::SystemTime, Refusal> {
    parse_time(text).ok_or_else(|| {
        Refusal::Unprocessable(format!("since is {text:?}: wanted a time such as 2030-01-31T12:00:00Z"))
    })
}
