//! `/system/logs`: lines of newline-delimited JSON, those so far and, if asked for, those to come.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::Channel;

use super::{blocking, function_name};
use crate::Shared;
use crate::error::{Refusal, StorageError};
use crate::following::follow;
use crate::logs::{Selection, as_line, parse_time};
use crate::supervisor::check_namespace;

/// What the query asks for.
#[derive(Debug, Default, PartialEq)]
struct LogQuery {
    name: String,
    namespace: String,
    follow: bool,
    selection: Selection,
}

impl LogQuery {
    /// Of a parameter that is there twice, the last one counts. `follow` is false where it is neither, as faas-provider
    /// reads it.
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        let mut query = Self::default();
        for (name, text) in pairs.into_iter().filter(|(_, text)| !text.is_empty()) {
            match name.as_str() {
                "name" => query.name = text,
                "namespace" => query.namespace = text,
                "instance" => query.selection.instance = Some(text),
                "since" => query.selection.since = Some(since(&text)?),
                "tail" => query.selection.tail = parse_tail(&text)?,
                "follow" => {
                    query.follow = matches!(text.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True");
                }
                _ => {}
            }
        }
        Ok(query)
    }
}

/// Zero and less mean all lines.
fn parse_tail(text: &str) -> Result<Option<usize>, Refusal> {
    let tail = text.parse::<i64>().map_err(|_| {
        Refusal::Unprocessable(format!(
            "tail is {:?}: wanted a whole number",
            text.chars().take(80).collect::<String>()
        ))
    })?;
    Ok(usize::try_from(tail).ok().filter(|tail| *tail > 0))
}

pub(super) async fn logs(
    State(shared): State<Shared>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(pairs) = query.map_err(|error| Refusal::Unprocessable(error.body_text()))?;
    let query = LogQuery::read(pairs)?;
    check_namespace(&query.namespace).map_err(Refusal::NotFound)?;
    let name =
        function_name(&query.name).map_err(|error| Refusal::Unprocessable(format!("name: {error}")))?;
    if shared.supervisor.find(&name).is_none() {
        return Err(Refusal::no_function(&name));
    }
    let selection = query.selection;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_read_as_faas_provider_reads_it() {
        let read = |pairs: &[(&str, &str)]| {
            LogQuery::read(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        let query =
            read(&[("name", "a"), ("name", "b"), ("follow", "1"), ("tail", "5"), ("other", "x")]).unwrap();
        assert_eq!((query.name.as_str(), query.follow, query.selection.tail), ("b", true, Some(5)));
        let query = read(&[("tail", "-1"), ("follow", "maybe"), ("since", ""), ("instance", "")]).unwrap();
        assert_eq!(query, LogQuery::default());
        for (name, value) in [("tail", "x"), ("tail", "1.5"), ("since", "now")] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(matches!(&error, Refusal::Unprocessable(text) if text.starts_with(name)), "{error}");
        }
    }
}
