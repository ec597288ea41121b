//! The log of a pod: what its replica wrote, as plain text.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::Channel;
use openfaas::types::LogMessage;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::kind::Kind;
use super::pods::find;
use super::target::{is_true, parse_query};
use crate::Shared;
use crate::error::StorageError;
use crate::following::follow;
use crate::logs::{Selection, parse_time};
use crate::supervisor::replica::Replica;

/// The query.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LogQuery {
    container: String,
    follow: String,
    previous: String,
    timestamps: String,
    since_seconds: Option<u64>,
    since_time: String,
    tail_lines: Option<usize>,
    limit_bytes: Option<usize>,
}

impl LogQuery {
    fn selection(&self, pod: &str) -> Result<Selection, Failure> {
        let ago = |seconds| SystemTime::now().checked_sub(Duration::from_secs(seconds));
        let since = match self.since_time.as_str() {
            "" => self.since_seconds.and_then(ago),
            text => Some(parse_time(text).ok_or_else(|| {
                Failure::bad_request(format!(
                    "sinceTime is {text:?}: wanted a time such as 2030-01-31T12:00:00Z"
                ))
            })?),
        };
        Ok(Selection { instance: Some(pod.to_owned()), since, tail: self.tail_lines })
    }

    /// Refuses what the pod does not have.
    fn check(&self, replica: &Replica) -> Result<(), Failure> {
        let (pod, own) = (&replica.pod, &replica.deployment.service);
        if !self.container.is_empty() && self.container != *own {
            return Err(Failure::bad_request(format!(
                "container {} is not valid for pod {pod}",
                self.container
            )));
        }
        if is_true(&self.previous) {
            let why = format!("previous terminated container {own:?} in pod {pod:?} not found");
            return Err(Failure::bad_request(why));
        }
        Ok(())
    }
}

/// What the pod `name` wrote, and with `follow` what it goes on to write until it ends.
pub(super) async fn read(shared: &Shared, name: &str, query: &str) -> Result<Response, Failure> {
    let query: LogQuery = parse_query(query)?;
    let replica = find(shared, name).ok_or_else(|| Failure::not_found(Kind::Pod, name))?;
    query.check(&replica)?;
    let selection = query.selection(name)?;
    let (context, wanted, function) =
        (shared.context.clone(), selection.clone(), replica.deployment.service.clone());
    let (lines, live) = crate::routes::blocking(move || {
        let log = context.logs.of(&function)?;
        Ok(log.read(&wanted).map_err(StorageError::io("read the log of", function))?)
    })
    .await?;
    let form = Form::new(&query);
    let (mut sender, body) = Channel::<Bytes>::new(64);
    let (server, follows) = (shared.server.clone(), is_true(&query.follow));
    shared.server.spawn(async move {
        for line in &lines {
            if form.full.is_cancelled() || sender.send_data(form.write(line).into()).await.is_err() {
                return;
            }
        }
        if follows {
            let end = async {
                tokio::select! {
                    () = replica.ended() => {}
                    () = form.full.cancelled() => {}
                    () = server.draining() => {}
                }
            };
            follow(live, &selection, |line| form.write(line), end, &mut sender).await;
        }
    });
    Ok(([(CONTENT_TYPE, "text/plain")], Body::new(body)).into_response())
}

/// How lines are written.
struct Form {
    timestamps: bool,
    /// Bytes that may still be written.
    left: AtomicUsize,
    full: CancellationToken,
}

impl Form {
    fn new(query: &LogQuery) -> Self {
        Self {
            timestamps: is_true(&query.timestamps),
            left: AtomicUsize::new(query.limit_bytes.unwrap_or(usize::MAX)),
            full: CancellationToken::new(),
        }
    }

    fn write(&self, message: &LogMessage) -> Vec<u8> {
        let time = if self.timestamps { format!("{} ", message.timestamp) } else { String::new() };
        let mut line = format!("{time}{}\n", message.text).into_bytes();
        let left = self.left.load(Ordering::Relaxed);
        line.truncate(left);
        self.left.store(left - line.len(), Ordering::Relaxed);
        if left == line.len() {
            self.full.cancel();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_plain_text_up_to_the_limit() {
        let message = LogMessage {
            name: "fn".into(),
            namespace: String::new(),
            instance: "fn-a".into(),
            timestamp: "2030-01-31T12:00:00.5Z".into(),
            text: "hello".into(),
        };
        let form = |query: &str| Form::new(&parse_query(query).unwrap_or_default());
        assert_eq!(form("").write(&message), b"hello\n");
        assert_eq!(form("timestamps=true").write(&message), b"2030-01-31T12:00:00.5Z hello\n");
        let limited = form("limitBytes=8");
        assert_eq!(limited.write(&message), b"hello\n");
        assert!(!limited.full.is_cancelled());
        assert_eq!(limited.write(&message), b"he");
        assert!(limited.full.is_cancelled());
    }
}
