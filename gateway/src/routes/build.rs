//! `/build`: the remote builder of `faas-cli`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use crate::Shared;
use crate::builder::Log;
use crate::draining::Draining;
use crate::error::Refusal;

const NDJSON: &str = "application/x-ndjson";

/// Builds, and answers with the log while that runs, or with all of it at the end if the client wants no stream.
///
/// `faas-cli` shows no more of a refusal than its status, so the gateway's own log has the reason, too.
pub(super) async fn build(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    // A client that is refused before it has sent everything must still read why.
    let body = Draining::wrap(body);
    let refused = |refusal: &Refusal| tracing::warn!(reason = %refusal, "a build was refused");
    let Some(builder) = shared.builder.clone() else {
        let off =
            Refusal::NotFound("builds are off: the gateway was started without a payload secret".to_owned());
        refused(&off);
        return Err(off);
    };
    let upload = builder.receive(&headers, body).await.inspect_err(refused)?;
    let (log, results) = Log::new();
    let server = shared.server.clone();
    shared.server.spawn(async move { builder.run(upload, log, server.draining()).await });
    let streams = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes() == NDJSON.as_bytes());
    if streams {
        return Ok(([(CONTENT_TYPE, NDJSON)], Body::new(results)).into_response());
    }
    results.collect().await.map(|result| Json(result).into_response()).ok_or(Refusal::Task)
}
