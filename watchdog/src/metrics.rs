//! Prometheus metrics, with the names, labels and buckets of OpenFaaS's own watchdog.

use std::time::Duration;

use hyper::Method;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The type of what [`Metrics::render`] returns.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Prometheus's default buckets, in seconds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    code: u16,
    method: &'static str,
}

/// What is counted about calls. Probes are not.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Labels, Counter>,
    durations: Family<Labels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let requests = Family::default();
        let durations: Family<_, _, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let in_flight = Gauge::default();
        let mut registry = Registry::default();
        // The encoder appends "_total" to a counter's name and a full stop to each help text.
        registry.register("http_requests", "Total HTTP requests processed", requests.clone());
        registry.register(
            "http_request_duration_seconds",
            "Seconds spent serving HTTP requests",
            durations.clone(),
        );
        registry.register("http_requests_in_flight", "HTTP requests in flight", in_flight.clone());
        Self { registry, requests, durations, in_flight }
    }

    /// Counts a call that was answered with status `code`.
    pub(crate) fn observe(&self, method: &Method, code: u16, duration: Duration) {
        let labels = Labels { code, method: method_label(method) };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&labels).observe(duration.as_secs_f64());
    }

    /// The metrics in OpenMetrics' text format.
    pub(crate) fn render(&self, in_flight: usize) -> Result<String, std::fmt::Error> {
        self.in_flight.set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        let mut out = String::new();
        text::encode(&mut out, &self.registry)?;
        Ok(out)
    }
}

/// Anybody can invent methods: all but the known ones share a label, so that the number of series stays
/// bounded.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "get",
        "HEAD" => "head",
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        "CONNECT" => "connect",
        "OPTIONS" => "options",
        "TRACE" => "trace",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_buckets_are_those_of_openfaas() {
        let metrics = Metrics::new();
        metrics.observe(&Method::POST, 200, Duration::from_millis(30));
        metrics.observe(&Method::from_bytes(b"BREW").unwrap(), 429, Duration::from_secs(11));
        let text = metrics.render(2).unwrap();
        for line in [
            "http_requests_total{code=\"200\",method=\"post\"} 1",
            "http_requests_total{code=\"429\",method=\"unknown\"} 1",
            "http_request_duration_seconds_bucket{le=\"0.025\",code=\"200\",method=\"post\"} 0",
            "http_request_duration_seconds_bucket{le=\"0.05\",code=\"200\",method=\"post\"} 1",
            "http_request_duration_seconds_bucket{le=\"10.0\",code=\"429\",method=\"unknown\"} 0",
            "http_request_duration_seconds_bucket{le=\"+Inf\",code=\"429\",method=\"unknown\"} 1",
            "http_request_duration_seconds_count{code=\"200\",method=\"post\"} 1",
            "http_requests_in_flight 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
