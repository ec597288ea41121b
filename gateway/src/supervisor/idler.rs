//! Scales functions to zero that ask for it (`com.openfaas.scale.zero`) and have had nothing to do for long enough.
//!
//! A replica that works is never ended: not during a call, and not while it goes on in the background after its answer,
//! which only its own metrics tell.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};

use super::Supervisor;
use super::function::Function;
use super::replica::{Phase, Replica};
use crate::upstream::Client;

/// Between two looks at all functions.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long a replica's metrics may take.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of metrics that are read.
const METRICS_LIMIT: usize = 1 << 20;
/// What the watchdog counts calls under, background work included.
const IN_FLIGHT: &str = "http_requests_in_flight";

/// Looks after idle functions until it is dropped.
pub(crate) async fn run(supervisor: Arc<Supervisor>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        for function in supervisor.list().into_iter().filter(|function| function.is_idle()) {
            if works(&supervisor.context.client, &function).await {
                function.touch();
                continue;
            }
            let (supervisor, resting) = (supervisor.clone(), function.clone());
            let rested = tokio::task::spawn_blocking(move || supervisor.rest(&function)).await;
            if let Ok(Err(error)) = rested {
                tracing::error!(%error, "cannot note that an idle function has no replicas");
                resting.touch();
            }
        }
    }
}

/// Whether a replica works on something that the gateway does not see, or may do so: one that is starting or does not
/// say that it is ready may be too busy for that.
async fn works(client: &Client, function: &Function) -> bool {
    let replicas = function.replicas();
    let staying: Vec<_> = replicas.iter().filter(|replica| !replica.stopped()).collect();
    if staying.is_empty() || staying.iter().any(|replica| replica.phase() != Phase::Ready) {
        return true;
    }
    for replica in staying {
        if in_background(client, replica).await {
            return true;
        }
    }
    false
}

/// Whether the metrics of a replica say so. One that serves none has nothing to say; one that should but does not
/// answer in time may be at work.
async fn in_background(client: &Client, replica: &Replica) -> bool {
    let uri = format!("http://{}/metrics", replica.metrics_authority());
    let Ok(request) = Request::get(uri).body(Body::empty()) else { return false };
    let answer = async {
        let response = client.request(request).await.map_err(|error| !is_refused(&error))?;
        if response.status() != StatusCode::OK {
            return Err(false);
        }
        let body = Limited::new(response.into_body(), METRICS_LIMIT).collect().await.map_err(|_| true)?;
        Ok(in_flight(&String::from_utf8_lossy(&body.to_bytes())) > 0.0)
    };
    tokio::time::timeout(TIMEOUT, answer).await.unwrap_or(Err(true)).unwrap_or_else(|works| works)
}

/// Whether nobody listens there.
fn is_refused(mut error: &(dyn Error + 'static)) -> bool {
    loop {
        let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        if error.downcast_ref().is_some_and(refused) {
            return true;
        }
        let Some(source) = error.source() else { return false };
        error = source;
    }
}

/// The number of calls in a text of metrics.
pub(crate) fn in_flight(metrics: &str) -> f64 {
    let values = metrics.lines().filter_map(|line| {
        let (name, value) = line.rsplit_once(' ')?;
        let name = name.split('{').next()?;
        if name == IN_FLIGHT { value.parse::<f64>().ok() } else { None }
    });
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_port_that_nobody_listens_on_refuses() {
        let port = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let ask = async |uri: &str| {
            let request = Request::get(uri).body(Body::empty()).unwrap();
            crate::upstream::client().request(request).await.unwrap_err()
        };
        assert!(is_refused(&ask(&format!("http://127.0.0.1:{port}/")).await));
        assert!(!is_refused(&ask("http://host.invalid./").await));
    }

    #[test]
    fn background_work_is_in_the_metrics() {
        let text = "# TYPE http_requests_in_flight gauge\nhttp_requests_in_flight 2\nhttp_requests_total{code=\"200\"} 7\n";
        assert_eq!(in_flight(text), 2.0);
        assert_eq!(
            in_flight(
                "http_requests_in_flight{method=\"get\"} 1\nhttp_requests_in_flight{method=\"post\"} 2"
            ),
            3.0
        );
        assert_eq!(in_flight("http_requests_in_flight_max 5\nup 1\n"), 0.0);
    }
}
