//! The handler, behind a barrier that turns errors and panics into replies.

use std::fmt::Display;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use hyper::StatusCode;

use crate::call::Call;
use crate::reply::Reply;

type Outcome = Pin<Box<dyn Future<Output = Result<Reply, String>> + Send>>;

/// The handler with its types erased, so that the server is compiled once and not for each function.
pub(crate) struct Function(Box<dyn Fn(Call) -> Outcome + Send + Sync>);

impl Function {
    pub(crate) fn new<H, F, E>(handler: H) -> Self
    where
        H: Fn(Call) -> F + Send + Sync + 'static,
        F: Future<Output = Result<Reply, E>> + Send + 'static,
        E: Display + Send,
    {
        let handler = Arc::new(handler);
        Self(Box::new(move |call| {
            let handler = Arc::clone(&handler);
            // The alternate form gives anyhow's whole chain of causes.
            Box::pin(async move { handler(call).await.map_err(|error| format!("{error:#}")) })
        }))
    }

    /// Runs the handler: an error or a panic is a 500.
    pub(crate) async fn call(&self, call: Call) -> Reply {
        let call_id = call.call_id.clone();
        let mut outcome = (self.0)(call);
        // Unwind safe: nobody polls the future again after a panic.
        let outcome =
            poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| outcome.as_mut().poll(context))) {
                Ok(poll) => poll,
                Err(_) => Poll::Ready(Err("the function panicked; its log says where".to_owned())),
            });
        match outcome.await {
            Ok(reply) => reply,
            Err(error) => {
                tracing::error!(call_id, "call failed: {error}");
                Reply::text(StatusCode::INTERNAL_SERVER_ERROR, error)
            }
        }
    }
}
