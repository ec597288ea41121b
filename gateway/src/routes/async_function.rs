//! `/async-function/NAME`: calls that are queued, and that can be taken back by their ids.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderName, HeaderValue, StatusCode};

use super::{function_name, read_body, rest_of};
use crate::error::Refusal;
use crate::queue::{self, Invocation, parse_callback_url};
use crate::upstream::{CALL_ID, START_TIME};
use crate::{Shared, proxy};

/// Where the answer is to be posted.
const CALLBACK_URL: HeaderName = HeaderName::from_static("x-callback-url");

pub(super) async fn invoke(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(path): Path<Vec<(String, String)>>,
    request: Request,
) -> Result<(StatusCode, [(HeaderName, HeaderValue); 2]), Refusal> {
    let name = function_name(path.first().map(|(_, name)| name.as_str()).unwrap_or_default())?;
    if shared.supervisor.find(&name).is_none() {
        return Err(Refusal::no_function(&name));
    }
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    let callback_url = match headers.get(CALLBACK_URL).map(HeaderValue::to_str) {
        None => None,
        Some(text) => {
            let text = text.unwrap_or_default();
            parse_callback_url(text).map_err(Refusal::Invalid)?;
            Some(text.to_owned())
        }
    };
    // Held until the invocation is on disk.
    let limit = shared.config.queue.body_limit as u64;
    let _share =
        shared.budget.take(proxy::content_length(&headers).map_or(limit, |length| length.min(limit))).await;
    let body = read_body(body, shared.config.queue.body_limit).await?;
    let (id, start) = proxy::mark(&mut headers, peer);
    headers.remove(CONTENT_LENGTH);
    let invocation = Invocation {
        function: name,
        call_id: String::from_utf8_lossy(id.as_bytes()).into_owned(),
        path: rest_of(&parts.uri, "/async-function/"),
        headers,
        body,
        callback_url,
        scheduled: false,
    };
    queue::push(&shared, invocation).await?;
    Ok((StatusCode::ACCEPTED, [(CALL_ID, id), (START_TIME, start)]))
}

/// `DELETE /async-function/[NAME/]CALL-ID`.
pub(super) async fn cancel(
    State(shared): State<Shared>,
    Path(path): Path<Vec<(String, String)>>,
) -> Result<StatusCode, Refusal> {
    let segments: Vec<String> = path.into_iter().map(|(_, segment)| segment).collect();
    let (function, call_id) = match segments.as_slice() {
        [name, call_id] => (Some(function_name(name)?), call_id.clone()),
        other => (None, other.concat()),
    };
    let unknown = format!("no asynchronous call {call_id:?} waits or runs");
    let cancelled = shared.queue.cancel(function.as_deref(), &call_id).await?;
    if cancelled { Ok(StatusCode::ACCEPTED) } else { Err(Refusal::NotFound(unknown)) }
}
