//! What one call leaves behind: a log line and its place in the metrics.

use std::time::Instant;

use hyper::header::USER_AGENT;
use hyper::{Method, Request, StatusCode, Uri};

use crate::config::{Config, LogFormat};
use crate::metrics::Metrics;

/// nginx's status for a connection that was closed before there was a reply.
const CLOSED_BEFORE_REPLY: u16 = 499;

/// Records the call when it is finished, and as closed without a reply when it is dropped before that.
pub(crate) struct Observation<'a> {
    metrics: &'a Metrics,
    config: &'a Config,
    method: Method,
    uri: Uri,
    /// Kubernetes' own probes would drown the log.
    quiet: bool,
    call_id: String,
    started: Instant,
    finished: bool,
}

impl<'a> Observation<'a> {
    pub(crate) fn start<B>(
        metrics: &'a Metrics,
        config: &'a Config,
        request: &Request<B>,
        call_id: &str,
        started: Instant,
    ) -> Self {
        let agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
        Self {
            metrics,
            config,
            method: request.method().clone(),
            uri: request.uri().clone(),
            quiet: agent.is_some_and(|agent| agent.starts_with("kube-probe")),
            call_id: call_id.to_owned(),
            started,
            finished: false,
        }
    }

    pub(crate) fn finish(mut self, status: StatusCode, content_length: usize) {
        self.finished = true;
        self.record(status.as_u16(), status.canonical_reason().unwrap_or_default(), content_length);
    }

    fn record(&self, code: u16, reason: &str, content_length: usize) {
        let duration = self.started.elapsed();
        self.metrics.observe(&self.method, code, duration);
        if self.quiet {
            return;
        }
        let Self { method, uri, call_id, .. } = self;
        let seconds = duration.as_secs_f64();
        match self.config.log_format {
            LogFormat::Json => {
                tracing::info!(%method, %uri, status = code, content_length, seconds, call_id, "call");
            }
            LogFormat::Text => {
                let id = if self.config.log_callid { format!(" {call_id}") } else { String::new() };
                let status = format!("{code} {reason}");
                let status = status.trim_end();
                tracing::info!(
                    "{method} {uri} - {status} - ContentLength: {content_length} ({seconds:.4}s){id}"
                );
            }
        }
    }
}

impl Drop for Observation<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.record(CLOSED_BEFORE_REPLY, "Closed Before Reply", 0);
        }
    }
}
