//! `/function/NAME`: synchronous calls.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::UPGRADE;
use axum::http::{HeaderName, HeaderValue, Response};
use axum::response::IntoResponse;

use super::{function_name, rest_of};
use crate::Shared;
use crate::error::Refusal;
use crate::proxy::{self, Call, Payload};
use crate::upgrade::Upgrade;
use crate::upstream::{CALL_ID, START_TIME, remove_hop_by_hop};

/// Says which gateway an answer came through.
const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

pub(super) async fn invoke(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(path): Path<Vec<(String, String)>>,
    request: Request,
) -> Result<Response<Body>, Refusal> {
    let name = function_name(path.first().map(|(_, name)| name.as_str()).unwrap_or_default())?;
    let function = shared.supervisor.find(&name).ok_or_else(|| Refusal::no_function(&name))?;
    let (mut parts, body) = request.into_parts();
    let upgrade = Upgrade::wished(&mut parts);
    let mut headers = parts.headers;
    let given = headers.contains_key(CALL_ID);
    let payload = Payload::of(&headers, body, &shared.budget).await;
    let payload = payload.map_err(|error| Refusal::body(&error))?;
    let (id, start) = proxy::mark(&mut headers, peer);
    if let Some(upgrade) = &upgrade {
        upgrade.announce(&mut headers);
    }
    let call = Call {
        method: parts.method,
        path: rest_of(&parts.uri, "/function/"),
        headers,
        payload,
        timeout: Some(shared.config.upstream_timeout),
    };
    let mut response =
        proxy::call(&shared, &function, call).await.unwrap_or_else(IntoResponse::into_response);
    let headers = response.headers_mut();
    let agreed = headers.get(UPGRADE).cloned();
    remove_hop_by_hop(headers);
    if !given {
        headers.insert(CALL_ID, id);
    }
    headers.insert(START_TIME, start);
    headers.insert(SERVED_BY, HeaderValue::from_static(concat!("downpour/", env!("CARGO_PKG_VERSION"))));
    Ok(match upgrade {
        Some(upgrade) => upgrade.join(&shared.server, agreed, response),
        None => response,
    })
}
