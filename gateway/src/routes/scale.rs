//! `/system/scale-function/NAME`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use openfaas::types::ScaleRequest;

use super::{blocking, function_name, read_json};
use crate::Shared;
use crate::error::Refusal;
use crate::supervisor::check_namespace;

pub(super) async fn scale(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let request: ScaleRequest = read_json(body).await?;
    let name = function_name(&name)?;
    if !request.service_name.is_empty() && request.service_name != name {
        return Err(Refusal::Invalid(format!(
            "the path names the function {name}, serviceName in the body {:?}",
            request.service_name
        )));
    }
    check_namespace(&request.namespace).map_err(Refusal::Invalid)?;
    blocking(move || shared.supervisor.scale(&name, request.replicas)).await?;
    Ok(StatusCode::ACCEPTED)
}
