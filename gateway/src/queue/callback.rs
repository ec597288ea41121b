//! The answer to an asynchronous invocation, for whoever asked for it with `X-Callback-Url`.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use openfaas::types::DEFAULT_NAMESPACE;

use super::dispatcher::{internal, pause};
use super::invocation::Invocation;
use crate::Shared;
use crate::upstream::{CALL_ID, START_TIME, remove_hop_by_hop};

/// Bytes of an answer that a callback can carry.
const BODY_LIMIT: usize = 8 << 20;
/// Attempts to deliver one callback; the function is not called again for it.
const ATTEMPTS: u32 = 5;
/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a function answered.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Bytes,
    took: Duration,
    /// Which attempt brought it, and how many there may be.
    attempts: (u32, u32),
}

impl Outcome {
    /// Reads an answer to its end; a body that is too long is left out, and one that breaks off is a failure as of a
    /// replica that cannot be reached.
    pub(super) async fn read(response: Response<Body>, took: Duration, attempts: (u32, u32)) -> Self {
        let (mut parts, body) = response.into_parts();
        remove_hop_by_hop(&mut parts.headers);
        parts.headers.remove(CONTENT_LENGTH);
        let body = match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                tracing::warn!(
                    limit = BODY_LIMIT,
                    "the answer to an asynchronous invocation is left out: too long"
                );
                Bytes::new()
            }
            Err(error) => {
                tracing::warn!(%error, "the answer to an asynchronous invocation broke off");
                (parts, _) = internal(StatusCode::INTERNAL_SERVER_ERROR).into_parts();
                Bytes::new()
            }
        };
        Self { status: parts.status, headers: parts.headers, body, took, attempts }
    }
}

/// The address of a callback, if it is one that can be called.
pub(crate) fn parse_url(text: &str) -> Result<Uri, String> {
    let wrong = || format!("X-Callback-Url is {text:?}: wanted an absolute http:// URL");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    if authority.as_str().contains('@') {
        // Never repeated, and nothing would be done with it.
        return Err("X-Callback-Url has a user or a password: wanted an http:// URL without".to_owned());
    }
    if uri.scheme_str() == Some("http") && !authority.host().is_empty() { Ok(uri) } else { Err(wrong()) }
}

/// The address as a log may have it: queries hold tokens.
fn without_query(uri: &Uri) -> String {
    format!("http://{}{}", uri.authority().map_or("", Authority::as_str), uri.path())
}

/// Posts the outcome to the invocation's callback, if it has one. Whether the invocation is done: it is not where the
/// gateway shuts down before the callback got through.
pub(super) async fn deliver(shared: &Shared, invocation: &Invocation, outcome: &Outcome) -> bool {
    let Some(url) = &invocation.callback_url else { return true };
    let uri = match parse_url(&shared.context.surroundings.resolve(url)) {
        Ok(uri) => uri,
        Err(error) => {
            tracing::error!(call_id = invocation.call_id, error, "no callback");
            return true;
        }
    };
    let mut wait = shared.queue.config.min_wait;
    for attempt in 1..=ATTEMPTS {
        let sent =
            tokio::time::timeout(TIMEOUT, shared.context.client.request(request(&uri, invocation, outcome)));
        let failure = match sent.await {
            Ok(Ok(response)) if !response.status().is_server_error() => return true,
            Ok(Ok(response)) => response.status().to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(
            call_id = invocation.call_id,
            uri = without_query(&uri),
            attempt,
            failure,
            "a callback failed"
        );
        if attempt < ATTEMPTS {
            if !pause(shared, wait).await {
                return false;
            }
            wait = wait.saturating_mul(2).min(shared.queue.config.max_wait);
        }
    }
    true
}

fn request(uri: &Uri, invocation: &Invocation, outcome: &Outcome) -> Request<Body> {
    let mut request = Request::new(Body::from(outcome.body.clone()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.clone();
    let headers = request.headers_mut();
    *headers = outcome.headers.clone();
    if let Some(start) = invocation.headers.get(START_TIME) {
        headers.insert(START_TIME, start.clone());
    }
    let (attempt, attempts) = outcome.attempts;
    let added = [
        (CALL_ID, invocation.call_id.clone()),
        (HeaderName::from_static("x-duration-seconds"), format!("{:.6}", outcome.took.as_secs_f64())),
        (HeaderName::from_static("x-function-status"), outcome.status.as_u16().to_string()),
        (HeaderName::from_static("x-function-name"), format!("{}.{DEFAULT_NAMESPACE}", invocation.function)),
        (HeaderName::from_static("x-retry"), (attempt - 1).to_string()),
        (HeaderName::from_static("x-retry-max"), (attempts - 1).to_string()),
    ];
    for (name, text) in added {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callbacks_are_absolute_http() {
        assert!(parse_url("http://127.0.0.1:1/x?y").is_ok());
        for wrong in ["", "/x", "ftp://host/", "https://host/", "http://", "host:80", "not a url"] {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_may_be_secret_in_a_callback_is_not_told() {
        let error = parse_url("http://user:hush@host/x").unwrap_err();
        assert!(!error.contains("hush"), "{error}");
        assert_eq!(without_query(&parse_url("http://host:1/x?token=hush").unwrap()), "http://host:1/x");
    }
}
