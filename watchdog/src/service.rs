//! What is answered to which request: probes, metrics, and calls of the function.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode, Uri};

use crate::body;
use crate::call::Call;
use crate::call_id::{self, X_CALL_ID};
use crate::config::Config;
use crate::duration::{DurationError, parse_duration};
use crate::function::Function;
use crate::in_flight::{Calls, InFlight};
use crate::metrics::{self, Metrics};
use crate::observation::Observation;
use crate::reply::{Reply, X_OPENFAAS_INTERNAL};
use crate::shutdown::Shutdown;

const X_DURATION_SECONDS: &str = "x-duration-seconds";
const X_TIMEOUT: &str = "x-timeout";

pub(crate) struct Service {
    config: Config,
    function: Function,
    calls: Calls,
    metrics: Metrics,
    draining: Shutdown,
}

/// There was no reply within write_timeout: the connection is to be closed without one.
#[derive(Debug, thiserror::Error)]
#[error("no reply within write_timeout")]
pub(crate) struct WriteTimeout;

impl Service {
    pub(crate) fn new(config: Config, function: Function) -> Self {
        let calls = Calls::new(config.max_inflight);
        Self { config, function, calls, metrics: Metrics::new(), draining: Shutdown::new() }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    /// From now on unhealthy, though calls are still served; handlers see the request to stop.
    pub(crate) fn drain(&self) {
        self.draining.request();
    }

    /// Answers a request that came to the function's port.
    pub(crate) async fn respond(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, WriteTimeout> {
        let get = request.method() == Method::GET;
        let reply = match request.uri().path() {
            "/_/health" | "/_/ready" if !get => Reply::empty(StatusCode::METHOD_NOT_ALLOWED),
            "/_/health" if self.healthy() => Reply::text(StatusCode::OK, "OK"),
            "/_/health" => Reply::empty(StatusCode::SERVICE_UNAVAILABLE),
            "/_/ready" => self.ready(request.into_parts().0).await?,
            _ => self.call(request).await?,
        };
        Ok(reply.into_response())
    }

    /// Answers a request that came to the metrics port.
    pub(crate) fn respond_metrics(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let reply = match (request.uri().path(), request.method()) {
            ("/metrics", &Method::GET) => match self.metrics.render(self.calls.count()) {
                Ok(text) => Reply::text(StatusCode::OK, text)
                    .header(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE)),
                Err(error) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
            },
            ("/metrics", _) => Reply::empty(StatusCode::METHOD_NOT_ALLOWED),
            _ => Reply::text(StatusCode::NOT_FOUND, "404 page not found\n"),
        };
        reply.into_response()
    }

    fn healthy(&self) -> bool {
        !self.draining.is_requested() && self.config.lock_file.as_ref().is_none_or(|path| path.exists())
    }

    async fn ready(&self, head: Parts) -> Result<Reply, WriteTimeout> {
        if !self.healthy() {
            return Ok(Reply::empty(StatusCode::SERVICE_UNAVAILABLE));
        }
        if let Some(max) = self.calls.full() {
            return Ok(limit_exceeded(max));
        }
        match &self.config.ready_path {
            None => Ok(Reply::empty(StatusCode::OK)),
            Some(path) => self.ask_function(path, head).await,
        }
    }

    /// The function itself says whether it is ready.
    async fn ask_function(&self, path: &Uri, mut head: Parts) -> Result<Reply, WriteTimeout> {
        head.uri = path.clone();
        let limits = Limits::new(&self.config, self.config.exec_timeout);
        let call_id = call_id::take_or_generate(&head.headers);
        let call = self.new_call(head, Bytes::new(), call_id, limits.exec, Calls::admit_uncounted());
        limits.apply(self.function.call(call)).await
    }

    async fn call(&self, request: Request<Incoming>) -> Result<Reply, WriteTimeout> {
        let started = Instant::now();
        let call_id = call_id::take_or_generate(request.headers());
        let observation = Observation::start(&self.metrics, &self.config, &request, &call_id, started);
        let mut reply = match self.calls.admit() {
            Err(max) => limit_exceeded(max),
            Ok(in_flight) => self.admitted(request, &call_id, in_flight).await?,
        };
        if let Ok(id) = HeaderValue::from_str(&call_id) {
            reply = reply.header(HeaderName::from_static(X_CALL_ID), id);
        }
        if let Ok(seconds) = HeaderValue::from_str(&format!("{:.6}", started.elapsed().as_secs_f64())) {
            reply = reply.header(HeaderName::from_static(X_DURATION_SECONDS), seconds);
        }
        observation.finish(reply.status, reply.body.len());
        Ok(reply)
    }

    /// `in_flight` is held here to the end: a handler may drop its `Call` long before it replies.
    async fn admitted(
        &self,
        request: Request<Incoming>,
        call_id: &str,
        in_flight: InFlight,
    ) -> Result<Reply, WriteTimeout> {
        let (head, body) = request.into_parts();
        let exec_timeout = match exec_timeout(&head.headers, self.config.exec_timeout) {
            Ok(limit) => limit,
            Err(error) => {
                return Ok(Reply::text(StatusCode::BAD_REQUEST, format!("header X-Timeout: {error}\n")));
            }
        };
        let limits = Limits::new(&self.config, exec_timeout);
        let work = async {
            match body::read(body, self.config.max_body_bytes, self.config.read_timeout).await {
                Err(error) => error.into_reply(),
                Ok(body) => {
                    let call = self.new_call(head, body, call_id.to_owned(), limits.exec, in_flight.clone());
                    self.function.call(call).await
                }
            }
        };
        limits.apply(work).await
    }

    fn new_call(
        &self,
        head: Parts,
        body: Bytes,
        call_id: String,
        deadline: Option<Instant>,
        in_flight: InFlight,
    ) -> Call {
        Call {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body,
            call_id,
            deadline,
            in_flight,
            shutdown: self.draining.clone(),
        }
    }
}

/// When a call ends that has not replied. `None`: never (or later than the clock can say).
struct Limits {
    exec: Option<Instant>,
    write: Option<Instant>,
}

impl Limits {
    fn new(config: &Config, exec_timeout: Option<Duration>) -> Self {
        let now = Instant::now();
        Self {
            exec: exec_timeout.and_then(|limit| now.checked_add(limit)),
            write: now.checked_add(config.write_timeout),
        }
    }

    /// Cancels `work`, by dropping it, at the earlier limit. With both the same, as they are by default,
    /// the caller gets the reply that says so.
    async fn apply(&self, work: impl Future<Output = Reply>) -> Result<Reply, WriteTimeout> {
        let Some(earliest) = self.exec.into_iter().chain(self.write).min() else {
            return Ok(work.await);
        };
        if let Ok(reply) = tokio::time::timeout_at(earliest.into(), work).await {
            return Ok(reply);
        }
        if self.exec == Some(earliest) {
            tracing::warn!("call cancelled: exec_timeout");
            return Ok(Reply::empty(StatusCode::GATEWAY_TIMEOUT).header(
                HeaderName::from_static(X_OPENFAAS_INTERNAL),
                HeaderValue::from_static("of-watchdog"),
            ));
        }
        tracing::warn!("call cancelled, connection closed without reply: write_timeout");
        Err(WriteTimeout)
    }
}

/// The caller may shorten the time that its call may take, never lengthen it.
fn exec_timeout(
    headers: &HeaderMap,
    configured: Option<Duration>,
) -> Result<Option<Duration>, DurationError> {
    let Some(value) = headers.get(X_TIMEOUT) else { return Ok(configured) };
    let wanted = parse_duration(value.to_str().map_err(|_| DurationError::Syntax)?)?;
    Ok(Some(configured.map_or(wanted, |limit| limit.min(wanted))))
}

fn limit_exceeded(max: NonZeroUsize) -> Reply {
    let text = format!("Concurrent request limit exceeded. Max concurrent requests: {max}\n");
    Reply::at_limit(text).header(CONTENT_TYPE, HeaderValue::from_static("text/plain"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x_timeout_shortens_only() {
        let headers = |text| HeaderMap::from_iter([(HeaderName::from_static(X_TIMEOUT), text)]);
        let given = |text| headers(HeaderValue::from_static(text));
        let seconds = Duration::from_secs;
        assert_eq!(exec_timeout(&HeaderMap::new(), Some(seconds(9))), Ok(Some(seconds(9))));
        assert_eq!(exec_timeout(&given("5s"), Some(seconds(9))), Ok(Some(seconds(5))));
        assert_eq!(exec_timeout(&given("1m"), Some(seconds(9))), Ok(Some(seconds(9))));
        assert_eq!(exec_timeout(&given("1m"), None), Ok(Some(seconds(60))));
        assert_eq!(exec_timeout(&given("soon"), None), Err(DurationError::Syntax));
    }
}
