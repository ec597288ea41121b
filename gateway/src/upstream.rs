//! The HTTP client for replicas and callbacks, and what a gateway does to headers on the way.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// A pooled client of HTTP/1.1 servers on this machine.
pub(crate) type Client = hyper_util::client::legacy::Client<HttpConnector, Body>;

/// The caller's id of a call, or the one that the gateway gave it.
pub(crate) const CALL_ID: HeaderName = HeaderName::from_static("x-call-id");
/// When the gateway got a call, in nanoseconds since 1970.
pub(crate) const START_TIME: HeaderName = HeaderName::from_static("x-start-time");
/// Tells an answer of a function from one of the machinery around it.
pub(crate) const INTERNAL: HeaderName = HeaderName::from_static("x-openfaas-internal");

const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// A client whose idle connections are short-lived. It keeps as many for a replica as a busy one had at once: opening
/// one costs more than a call.
pub(crate) fn client() -> Client {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(1)));
    hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(15))
        .pool_max_idle_per_host(256)
        .build(connector)
}

/// Removes what concerns one connection only, such as what `Connection` names.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// Notes the time in the headers of a call.
pub(crate) fn mark_start(headers: &mut HeaderMap) -> HeaderValue {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let start = HeaderValue::from_str(&nanoseconds.to_string());
    let start = start.unwrap_or_else(|_| HeaderValue::from_static("0"));
    headers.insert(START_TIME, start.clone());
    start
}

/// A random UUID, version 4.
pub(crate) fn new_call_id() -> String {
    let random = rand::random::<u128>();
    let hex = format!("{:032x}", random & !(0xf << 76) & !(0b11 << 62) | (0x4 << 76) | (0b10 << 62));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_is_removed_too() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, X-Private"), ("x-private", "1"), ("te", "trailers"), ("x-kept", "1")]
        {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
    }

    #[test]
    fn call_ids_are_uuids() {
        let id = new_call_id();
        let bytes = id.as_bytes();
        assert_eq!((id.len(), bytes[14], [8, 13, 18, 23].map(|at| bytes[at])), (36, b'4', [b'-'; 4]));
        assert!(b"89ab".contains(&bytes[19]), "{id}");
        assert_ne!(id, new_call_id());
    }
}
