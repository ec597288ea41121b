//! `/system/alert`: what Prometheus' AlertManager says about the load of functions.
//!
//! <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::{blocking, function_name, read_json};
use crate::Shared;
use crate::error::Refusal;
use crate::specification::Alert;

/// The part of AlertManager's message that matters here.
#[derive(Debug, Deserialize)]
pub(crate) struct Message {
    status: Status,
    alerts: Vec<AlertEntry>,
}

#[derive(Debug, Deserialize)]
struct AlertEntry {
    /// The group's, where it is not given.
    status: Option<Status>,
    labels: Labels,
}

#[derive(Debug, Deserialize)]
struct Labels {
    /// `NAME` or `NAME.NAMESPACE`.
    function_name: String,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

/// Scales each function that an alert names; those that it can are scaled also where others are unknown.
pub(super) async fn alert(State(shared): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let message: Message = read_json(body).await?;
    blocking(move || {
        let results = message.alerts.iter().map(|entry| heed(&shared, entry, message.status));
        // Each is heeded before the first failure is told.
        let results: Vec<_> = results.collect();
        results.into_iter().collect::<Result<Vec<()>, _>>().map(|_| StatusCode::OK)
    })
    .await
}

fn heed(shared: &Shared, entry: &AlertEntry, group: Status) -> Result<(), Refusal> {
    let name = function_name(&entry.labels.function_name)?;
    let alert = match entry.status.unwrap_or(group) {
        Status::Firing => Alert::Firing,
        Status::Resolved => Alert::Resolved,
    };
    let replicas = shared.supervisor.heed(&name, alert)?;
    tracing::info!(function = name, ?alert, replicas, "alert");
    Ok(())
}
