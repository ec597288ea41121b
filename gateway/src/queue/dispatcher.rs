//! One queued invocation: called again and again until it is done or given up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, Method, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use super::callback::{self, Outcome};
use super::spool::Invocation;
use crate::config::QueueConfig;
use crate::proxy::{self, Call, Payload};
use crate::supervisor::function::Function;
use crate::{Shared, storage};

/// What an attempt may end with and be worth another.
const RETRIED: [u16; 6] = [408, 429, 500, 502, 503, 504];

/// Sees the invocation at `path` through. A gateway that shuts down ends this between two attempts.
pub(super) async fn dispatch(shared: Shared, path: PathBuf) {
    let mut attempt = 1;
    loop {
        let Some((invocation, function)) = load(&shared, &path).await else { return };
        let Some(permit) = permit(&shared, function.as_ref()).await else { return };
        let started = Instant::now();
        let answer = call(&shared, &invocation, function.as_ref()).await;
        let config = &shared.queue.config;
        if RETRIED.contains(&answer.status().as_u16()) && attempt < config.attempts {
            let wait = pause(config, attempt, answer.headers());
            let status = answer.status().as_u16();
            tracing::debug!(
                function = invocation.function,
                call_id = invocation.call_id,
                status,
                ?wait,
                "trying again"
            );
            drop((permit, answer, invocation));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shared.context.tasks.draining() => return,
            }
            attempt += 1;
            continue;
        }
        if !answer.status().is_success() {
            let (function, call_id, status) =
                (&invocation.function, &invocation.call_id, answer.status().as_u16());
            tracing::warn!(function, call_id, status, attempt, "an asynchronous invocation failed");
        }
        let outcome = Outcome::read(answer, started.elapsed()).await;
        drop(permit);
        if callback::deliver(&shared, &invocation, &outcome).await {
            shared.queue.done(&path);
        }
        return;
    }
}

/// Reads the invocation anew for each attempt, so that one that waits takes no memory.
async fn load(shared: &Shared, path: &Path) -> Option<(Invocation, Option<Arc<Function>>)> {
    let file = path.to_owned();
    match tokio::task::spawn_blocking(move || storage::read_json::<Invocation>(&file)).await.ok()? {
        Ok(invocation) => {
            let function = shared.supervisor.find(&invocation.function);
            Some((invocation, function))
        }
        Err(error) => {
            let kept = shared.queue.set_aside(path);
            tracing::error!(%error, ?kept, "a queued invocation cannot be read");
            None
        }
    }
}

/// Waits for its turn among the invocations of one function; `None` when the gateway shuts down.
async fn permit(shared: &Shared, function: Option<&Arc<Function>>) -> Option<Option<OwnedSemaphorePermit>> {
    let Some(function) = function else { return Some(None) };
    tokio::select! {
        biased;
        () = shared.context.tasks.draining() => None,
        permit = function.queue_permits.clone().acquire_owned() => Some(permit.ok()),
    }
}

async fn call(shared: &Shared, invocation: &Invocation, function: Option<&Arc<Function>>) -> Response<Body> {
    let Some(function) = function else {
        return answer(StatusCode::NOT_FOUND);
    };
    let call = Call {
        method: Method::POST,
        path: invocation.path.clone(),
        headers: invocation.headers.clone(),
        payload: Payload::Kept(invocation.body.clone()),
        timeout: None,
    };
    proxy::call(shared, function, call).await.unwrap_or_else(|error| answer(error.status()))
}

fn answer(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The wait after the `attempt`th attempt: what the function asked for, else exponential.
fn pause(config: &QueueConfig, attempt: u32, headers: &HeaderMap) -> Duration {
    let asked = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
    let doubled = config.min_wait.saturating_mul(2_u32.saturating_pow(attempt - 1));
    asked.unwrap_or(doubled).min(config.max_wait)
}

/// A number of seconds; dates, which a clock that is off would falsify, count as absent.
fn retry_after(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_bound_unless_the_function_asks_for_another() {
        let config = QueueConfig {
            min_wait: Duration::from_secs(1),
            max_wait: Duration::from_secs(60),
            ..QueueConfig::default()
        };
        let seconds = |attempt, headers: &HeaderMap| pause(&config, attempt, headers).as_secs();
        let none = HeaderMap::new();
        assert_eq!([1, 2, 3, 7, 90].map(|attempt| seconds(attempt, &none)), [1, 2, 4, 60, 60]);
        let asks = |text: &str| HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        assert_eq!(seconds(5, &asks("3")), 3);
        assert_eq!(seconds(1, &asks("86400")), 60);
        assert_eq!(seconds(1, &asks("soon")), 1);
    }
}
