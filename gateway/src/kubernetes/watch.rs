//! A watch: what changes, as it changes, one JSON object a line.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde_json::{Value, json};

use super::failure::Failure;
use super::kind::Kind;
use super::store::{Change, Store};
use super::table::{Include, table};
use super::target::ListOptions;
use crate::Shared;
use crate::following::gone;

/// Between two bookmarks.
const BOOKMARK: Duration = Duration::from_secs(60);

/// When a watch ends that is given no time: its client begins another.
const LONGEST: Duration = Duration::from_secs(3600);

/// What is watched, and in what form it is told.
pub(super) struct Watch {
    pub(super) kind: Kind,
    pub(super) options: ListOptions,
    /// As rows of tables, with so much of each object; `None` for the objects themselves.
    pub(super) tables: Option<Include>,
    /// Whether it is a namespace that has objects.
    pub(super) inhabited: bool,
}

/// Whoever watches is gone.
struct Gone;

/// The answer, which goes on until its time is over, its reader leaves, or the gateway ends.
pub(super) fn answer(shared: &Shared, watch: Watch) -> Response {
    let (mut sender, body) = Channel::<Bytes>::new(64);
    let (store, server) = (shared.kubernetes.clone(), shared.server.clone());
    shared.server.spawn(async move {
        tokio::select! {
            _ = watch.run(&store, &mut sender) => {}
            () = server.draining() => {}
        }
    });
    ([(CONTENT_TYPE, "application/json")], Body::new(body)).into_response()
}

impl Watch {
    async fn run(&self, store: &Arc<Store>, sender: &mut Sender<Bytes>) -> Result<(), Gone> {
        let limit = self.options.timeout.map_or(LONGEST, |limit| limit.min(LONGEST));
        let end = tokio::time::Instant::now() + limit;
        let mut changes = store.changes();
        let mut version = self.begin(store, sender).await?;
        loop {
            changes.mark_unchanged();
            let news = match store.since(version) {
                Ok((now, news)) => {
                    version = now;
                    news
                }
                Err(failure) => return send_line(sender, "ERROR", &failure.status()).await,
            };
            for change in &news {
                self.tell(change, sender).await?;
            }
            let bookmark = tokio::select! {
                _ = changes.changed() => false,
                () = tokio::time::sleep(BOOKMARK) => self.options.bookmarks,
                () = tokio::time::sleep_until(end) => return Ok(()),
                () = gone(sender) => return Err(Gone),
            };
            if bookmark {
                self.bookmark(version, false, sender).await?;
            }
        }
    }

    /// Tells what there is, unless the watch goes on from a list; the version from which it goes on.
    async fn begin(&self, store: &Arc<Store>, sender: &mut Sender<Bytes>) -> Result<u64, Gone> {
        if let Some(version) = self.options.from {
            return Ok(version);
        }
        let (version, all) = store.list(self.kind);
        for object in all.iter().filter(|object| self.selects(object)) {
            self.send("ADDED", object, sender).await?;
        }
        if self.options.initial_end {
            self.bookmark(version, true, sender).await?;
        }
        Ok(version)
    }

    fn selects(&self, object: &Value) -> bool {
        self.inhabited && self.options.selector.matches(object)
    }

    async fn tell(&self, change: &Change, sender: &mut Sender<Bytes>) -> Result<(), Gone> {
        if change.kind != self.kind {
            return Ok(());
        }
        let before = change.before.as_ref().is_some_and(|object| self.selects(object));
        let after = !change.gone && self.selects(&change.after);
        let what = match (before, after) {
            (false, false) => return Ok(()),
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        self.send(what, &change.after, sender).await
    }

    async fn send(&self, what: &str, object: &Value, sender: &mut Sender<Bytes>) -> Result<(), Gone> {
        match self.tables {
            Some(include) => {
                let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
                send_line(sender, what, &table(self.kind, version, [object], include)).await
            }
            None => send_line(sender, what, object).await,
        }
    }

    async fn bookmark(
        &self,
        version: u64,
        initial_end: bool,
        sender: &mut Sender<Bytes>,
    ) -> Result<(), Gone> {
        let mut object = json!({
            "kind": self.kind.description().kind,
            "apiVersion": self.kind.api_version(),
            "metadata": {"resourceVersion": version.to_string(), "creationTimestamp": null},
        });
        if initial_end {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        self.send("BOOKMARK", &object, sender).await
    }
}

async fn send_line(sender: &mut Sender<Bytes>, what: &str, object: &Value) -> Result<(), Gone> {
    let mut line = json!({"type": what, "object": object}).to_string();
    line.push('\n');
    sender.send_data(line.into()).await.map_err(|_| Gone)
}

/// Refuses what no watch can begin with, while there still is a status to say so.
pub(super) fn check(store: &Store, options: &ListOptions) -> Result<(), Failure> {
    options.from.map_or(Ok(()), |version| store.since(version).map(|_| ()))
}
