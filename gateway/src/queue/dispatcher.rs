//! One queued invocation: called again and again until it is done or given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use tokio::sync::OwnedSemaphorePermit;

use super::callback::{self, Outcome};
use super::calls::Ticket;
use super::invocation::Invocation;
use super::policy::Policy;
use crate::Shared;
use crate::proxy::{self, Call, CallError, Payload};
use crate::specification::Retries;
use crate::supervisor::function::Function;
use crate::upstream::INTERNAL;

/// Sees an invocation through. A gateway that shuts down ends this between two attempts.
pub(super) async fn dispatch(shared: Shared, ticket: Arc<Ticket>) {
    let done = tokio::select! {
        biased;
        () = ticket.cancelled.cancelled() => {
            tracing::info!(function = %ticket.function, call_id = %ticket.call_id, "an invocation was cancelled");
            true
        }
        done = deliver(&shared, &ticket) => done,
    };
    if done {
        shared.queue.done(&ticket);
    }
}

/// What came of an attempt.
enum Attempt {
    /// The invocation is done.
    Done,
    /// Another one is due after this time.
    Again(Duration),
    /// The gateway shuts down.
    Ended,
}

/// Calls until there is an answer to keep; whether the invocation is done.
async fn deliver(shared: &Shared, ticket: &Ticket) -> bool {
    let mut number = 1;
    loop {
        let before = shared.supervisor.find(&ticket.function);
        let Some(permit) = permit(shared, before.as_ref()).await else { return false };
        // On the heap only now: thousands may wait.
        match Box::pin(attempt(shared, ticket, number, permit)).await {
            Attempt::Done => return true,
            Attempt::Ended => return false,
            Attempt::Again(wait) => {
                if !pause(shared, wait).await {
                    return false;
                }
                number += 1;
            }
        }
    }
}

/// One attempt, the `number`th.
async fn attempt(
    shared: &Shared,
    ticket: &Ticket,
    number: u32,
    permit: Option<OwnedSemaphorePermit>,
) -> Attempt {
    // After the wait: what waits takes no memory, and the function may have been deployed anew meanwhile.
    let found = shared.supervisor.find(&ticket.function);
    let invocation = match load(shared, ticket).await {
        Ok(invocation) => invocation,
        Err(otherwise) => return otherwise,
    };
    let policy = policy(shared, found.as_ref());
    let started = Instant::now();
    let answer = call(shared, &invocation, found.as_ref()).await;
    let outcome = Outcome::read(answer, started.elapsed(), (number, policy.attempts)).await;
    let (function, call_id, status) = (&ticket.function, &ticket.call_id, outcome.status);
    if let Some(wait) = policy.again(number, status, &outcome.headers) {
        tracing::debug!(%function, %call_id, %status, ?wait, "trying again");
        return Attempt::Again(wait);
    }
    if !status.is_success() {
        tracing::warn!(%function, %call_id, %status, number, "an asynchronous invocation failed");
    }
    drop(permit);
    if callback::deliver(shared, &invocation, &outcome).await { Attempt::Done } else { Attempt::Ended }
}

/// Waits; `false` when the gateway shuts down.
pub(super) async fn pause(shared: &Shared, wait: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(wait) => true,
        () = shared.context.tasks.draining() => false,
    }
}

/// Reads the invocation, anew for each attempt, as often as the system refuses. One that cannot be read was set aside,
/// and is over.
async fn load(shared: &Shared, ticket: &Ticket) -> Result<Invocation, Attempt> {
    loop {
        let record = ticket.record.clone();
        let read = tokio::task::spawn_blocking(move || record.load()).await;
        match read.map_err(|_| Attempt::Ended)? {
            Ok(invocation) => return Ok(invocation),
            Err(error) if error.may_pass() => {
                tracing::warn!(call_id = %ticket.call_id, %error, "a queued invocation cannot be read now");
                if !pause(shared, shared.queue.config.min_wait).await {
                    return Err(Attempt::Ended);
                }
            }
            Err(_) => return Err(Attempt::Done),
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

/// The rules as they are now: a new version of the function may have others.
fn policy(shared: &Shared, function: Option<&Arc<Function>>) -> Policy {
    let retries = function.map_or_else(Retries::default, |function| function.version().specification.retries);
    Policy::new(&shared.queue.config, &retries)
}

async fn call(shared: &Shared, invocation: &Invocation, function: Option<&Arc<Function>>) -> Response<Body> {
    let Some(function) = function else {
        return internal(StatusCode::NOT_FOUND);
    };
    let call = Call {
        method: Method::POST,
        path: invocation.path.clone(),
        headers: invocation.headers.clone(),
        payload: Payload::kept(invocation.body.clone()),
        timeout: None,
    };
    proxy::call(shared, function, call).await.unwrap_or_else(|error| internal(CallError::status(&error)))
}

/// An answer that is not the function's.
pub(super) fn internal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(INTERNAL, HeaderValue::from_static("proxy"));
    response
}
