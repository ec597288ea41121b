//! Calls to functions, retried until a deadline and fanned out.
//!
//! A call is delivered at least once: each attempt carries the same body and the same
//! `X-Call-Id`, so that the function can tell a second delivery from a second call.

mod http;
mod retry;
mod template;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;

pub use http::HttpInvoker;
pub use openfaas::client::Reply;
pub use retry::retrying;
pub use template::UrlTemplate;

/// The header that names a call.
pub const CALL_ID: &str = "x-call-id";

/// What [`Invoker::invoke`] returns.
pub type InvokeFuture<'a> = Pin<Box<dyn Future<Output = Result<Reply, InvokeError>> + Send + 'a>>;

/// Something that calls functions by name.
pub trait Invoker: Send + Sync {
    /// Calls `function` once with `body`, as the call named `call_id`; returns its answer,
    /// whatever its status.
    fn invoke<'a>(&'a self, function: &'a str, body: Vec<u8>, call_id: &'a str) -> InvokeFuture<'a>;
}

/// A call that brought no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// No call can be made of this: an address, a function's name or a call's.
    #[error("{what} is {found:?}, wanted {wanted}")]
    Input {
        /// What is wrong.
        what: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// Nobody answered, or not in time: worth another attempt.
    #[error("{0}")]
    NoAnswer(String),
    /// The deadline passed before an answer that counts.
    #[error("{function}: no success in {attempts} attempts until the deadline; the last: {last}")]
    Deadline {
        /// The function.
        function: String,
        /// How often it was called.
        attempts: u32,
        /// What became of the last finished attempt.
        last: String,
    },
    /// The call was dropped: its task panicked or the runtime is shutting down.
    #[error("{0}: the call was dropped")]
    Dropped(String),
}

/// One call of a fan-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The call's name, the same in every attempt.
    pub call_id: String,
    /// What the function gets.
    pub body: Vec<u8>,
}

/// Makes all calls at the same time, each [`retrying`]; the answers are in the calls' order.
/// Dropping the future ends what is still under way.
pub async fn fan_out(
    invoker: Arc<dyn Invoker>,
    function: &str,
    calls: Vec<Call>,
    deadline: Instant,
) -> Vec<Result<Reply, InvokeError>> {
    let mut answers = vec![Err(InvokeError::Dropped(function.to_owned())); calls.len()];
    let mut tasks = JoinSet::new();
    for (index, call) in calls.into_iter().enumerate() {
        let (invoker, function) = (invoker.clone(), function.to_owned());
        tasks.spawn(async move {
            (index, retrying(&*invoker, &function, call.body, &call.call_id, deadline).await)
        });
    }
    while let Some(finished) = tasks.join_next().await {
        if let Ok((index, answer)) = finished {
            answers[index] = answer;
        }
    }
    answers
}
