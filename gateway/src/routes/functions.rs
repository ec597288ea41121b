//! `/system/functions` and `/system/function/NAME`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use openfaas::types::{DeleteFunctionRequest, FunctionDeployment, FunctionStatus};
use serde::Deserialize;

use super::{blocking, function_name, read_json};
use crate::Shared;
use crate::error::Refusal;
use crate::supervisor::{check_namespace, measure_usage};

/// The query of the routes that read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Selection {
    namespace: String,
    usage: String,
}

pub(super) async fn deploy(State(shared): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let deployment: FunctionDeployment = read_json(body).await?;
    blocking(move || shared.supervisor.deploy(deployment)).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn update(State(shared): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let deployment: FunctionDeployment = read_json(body).await?;
    blocking(move || shared.supervisor.update(deployment)).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn remove(State(shared): State<Shared>, body: Body) -> Result<StatusCode, Refusal> {
    let request: DeleteFunctionRequest = read_json(body).await?;
    if request.function_name.is_empty() {
        return Err(Refusal::Invalid("functionName is empty: wanted the name of a function".to_owned()));
    }
    check_namespace(&request.namespace).map_err(Refusal::Invalid)?;
    blocking(move || shared.supervisor.remove(&request.function_name)).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Query(selection): Query<Selection>,
) -> Result<Json<Vec<FunctionStatus>>, Refusal> {
    check_namespace(&selection.namespace).map_err(Refusal::Invalid)?;
    Ok(Json(shared.supervisor.list().iter().map(|function| function.status()).collect()))
}

pub(super) async fn describe(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Query(selection): Query<Selection>,
) -> Result<Json<FunctionStatus>, Refusal> {
    check_namespace(&selection.namespace).map_err(Refusal::NotFound)?;
    let name = function_name(&name)?;
    let function = shared.supervisor.find(&name).ok_or_else(|| Refusal::no_function(&name))?;
    let mut status = function.status();
    if matches!(selection.usage.as_str(), "1" | "true") {
        status.usage = Some(measure_usage(&function.processes()).await);
    }
    Ok(Json(status))
}
