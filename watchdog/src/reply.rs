//! What a handler answers.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// Tells a reply of the machinery from one of the function.
pub(crate) const X_OPENFAAS_INTERNAL: &str = "x-openfaas-internal";

/// A whole response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers; the watchdog adds `X-Call-Id` and `X-Duration-Seconds`, the server length and date.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// No body, no headers.
    pub fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Plain text, UTF-8.
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let mut reply =
            Self::empty(status).header(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        reply.body = text.into().into();
        reply
    }

    /// `value` as JSON. Fails where serde_json does: a map whose keys are no strings, or a `Serialize`
    /// that reports an error.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Self, serde_json::Error> {
        let mut reply =
            Self::empty(status).header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        reply.body = serde_json::to_vec(value)?.into();
        Ok(reply)
    }

    /// Not here, not now: 429, marked as of-watchdog marks its own limit, so that a gateway that knows the mark
    /// tries the next replica at once.
    pub fn at_limit(text: impl Into<String>) -> Self {
        Self::text(StatusCode::TOO_MANY_REQUESTS, text)
            .header(HeaderName::from_static(X_OPENFAAS_INTERNAL), HeaderValue::from_static("faas-middleware"))
    }

    /// Sets a header, replacing what it was.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_its_type_and_may_fail() {
        let reply = Reply::json(StatusCode::ACCEPTED, &[1, 2]).unwrap();
        assert_eq!(reply.body, "[1,2]");
        assert_eq!(reply.headers[CONTENT_TYPE], "application/json");
        let keys_are_lists = std::collections::BTreeMap::from([(vec![1], 2)]);
        assert!(Reply::json(StatusCode::OK, &keys_are_lists).is_err());
    }
}
