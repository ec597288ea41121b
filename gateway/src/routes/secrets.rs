//! `/system/secrets`: names come out, values only go in.

use axum::Json;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use openfaas::types::Secret;
use serde::Deserialize;

use super::{blocking, read_json};
use crate::Shared;
use crate::error::Refusal;
use crate::supervisor::check_namespace;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Selection {
    namespace: String,
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Query(selection): Query<Selection>,
) -> Result<Json<Vec<Secret>>, Refusal> {
    check_namespace(&selection.namespace).map_err(Refusal::Invalid)?;
    Ok(Json(blocking(move || shared.context.secrets.list()).await?))
}

pub(super) async fn create(State(shared): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let secret = read(body).await?;
    blocking(move || shared.context.secrets.create(&secret)).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn update(State(shared): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let secret = read(body).await?;
    blocking(move || shared.context.secrets.update(&secret)).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn remove(State(shared): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let secret = read(body).await?;
    blocking(move || shared.context.secrets.remove(&secret.name)).await?;
    Ok(StatusCode::ACCEPTED)
}

async fn read(body: Body) -> Result<Secret, Refusal> {
    let secret: Secret = read_json(body).await?;
    check_namespace(&secret.namespace).map_err(Refusal::Invalid)?;
    Ok(secret)
}
