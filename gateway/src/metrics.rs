//! Prometheus metrics under the names that OpenFaaS's gateway gives them.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

type Labels = Vec<(&'static str, String)>;

/// Seconds: the defaults of Prometheus's Go client, which OpenFaaS uses.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The type of the media that [`Metrics::encode`] writes.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the gateway counts.
pub(crate) struct Metrics {
    registry: Registry,
    invocations: Family<Labels, Counter>,
    // A gauge because the text format would append `_total` to a counter's name, which OpenFaaS's has not.
    started: Family<Labels, Gauge>,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
    replicas: Family<Labels, Gauge<i64, AtomicI64>>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let invocations = Family::default();
        let started = Family::default();
        let seconds = Family::new_with_constructor((|| Histogram::new(BUCKETS)) as fn() -> Histogram);
        let replicas = Family::default();
        registry.register(
            "gateway_function_invocation",
            "Answers by function and status",
            invocations.clone(),
        );
        registry.register("gateway_function_invocation_started", "Calls begun, by function", started.clone());
        registry.register("gateway_functions_seconds", "Time until the answer began", seconds.clone());
        registry.register("gateway_service_count", "Replicas by function", replicas.clone());
        Self { registry, invocations, started, seconds, replicas }
    }

    /// A call of the function `name` begins.
    pub(crate) fn begin(&self, name: &str) {
        self.started.get_or_create(&function(name)).inc();
    }

    /// A call was answered with `code`.
    pub(crate) fn end(&self, name: &str, code: u16, took: Duration) {
        let mut labels = function(name);
        labels.push(("code", code.to_string()));
        self.invocations.get_or_create(&labels).inc();
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// The text that Prometheus scrapes, with the number of replicas that each function has now.
    pub(crate) fn encode(
        &self,
        replicas: impl Iterator<Item = (String, usize)>,
    ) -> Result<String, std::fmt::Error> {
        self.replicas.clear();
        for (name, count) in replicas {
            self.replicas.get_or_create(&function(&name)).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn function(name: &str) -> Labels {
    vec![("function_name", format!("{name}.{}", openfaas::types::DEFAULT_NAMESPACE))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_openfaas_own() {
        let metrics = Metrics::new();
        metrics.begin("fn");
        metrics.end("fn", 200, Duration::from_millis(20));
        let text = metrics.encode([("fn".to_owned(), 2)].into_iter()).unwrap();
        for line in [
            "gateway_function_invocation_total{function_name=\"fn.openfaas-fn\",code=\"200\"} 1",
            "gateway_function_invocation_started{function_name=\"fn.openfaas-fn\"} 1",
            "gateway_functions_seconds_count{function_name=\"fn.openfaas-fn\",code=\"200\"} 1",
            "gateway_service_count{function_name=\"fn.openfaas-fn\"} 2",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
