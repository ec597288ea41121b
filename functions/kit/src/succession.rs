//! The call for a successor.

use std::sync::Arc;
use std::time::Duration;

use platform::invoker::{self, Invoker};
use tokio::time::Instant;

use crate::Order;

/// The function that workers run in.
pub const TRAIN_FUNCTION: &str = "emnist-train";
/// How long a successor is looked for; then the other workers notice.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who goes on with a worker's shard?
pub(crate) struct Succession {
    invoker: Arc<dyn Invoker>,
    order: Order,
    /// Nobody in a replica that has a worker of the run will do.
    alone: bool,
}

impl Succession {
    /// Somebody, since nobody holds the lease.
    pub(crate) fn of(invoker: Arc<dyn Invoker>, run: &str, worker: u32) -> Self {
        let place = format!("successor-{:016x}", rand::random::<u64>());
        let order = Order { run: run.to_owned(), place, worker: Some(worker), from: None, spread: false };
        Self { invoker, order, alone: false }
    }

    /// The same, but in a replica that has no worker of the run.
    pub(crate) fn alone(self) -> Self {
        Self { order: Order { spread: true, ..self.order }, alone: true, ..self }
    }

    /// The invocation that does epoch `next`, to which the lease of the token `from` is given up. However
    /// often it is delivered, it is one place in the run.
    pub(crate) fn of_epoch(invoker: Arc<dyn Invoker>, run: &str, worker: u32, next: u32, from: u64) -> Self {
        let place = format!("{run}-{worker}-epoch-{next}");
        let order =
            Order { run: run.to_owned(), place, worker: Some(worker), from: Some(from), spread: true };
        Self { invoker, order, alone: false }
    }

    /// Asks until somebody has the place; returns whether somebody does.
    pub(crate) async fn find(self) -> bool {
        let Self { invoker, order, alone } = self;
        let (worker, call_id) = (order.worker, order.place.clone());
        // Once, a replica is asked for that has no worker of the run; a few replicas have more than one.
        if order.spread && !alone {
            let Ok(body) = order.to_body() else { return false };
            let reply = invoker.invoke(TRAIN_FUNCTION, body, &call_id).await;
            if reply.is_ok_and(|reply| reply.is_success()) {
                return true;
            }
        }
        let Ok(body) = (Order { spread: alone, ..order }).to_body() else { return false };
        let deadline = Instant::now() + PATIENCE;
        match invoker::retrying(&*invoker, TRAIN_FUNCTION, body, &call_id, deadline).await {
            Ok(reply) => {
                tracing::info!(worker, status = reply.status, "asked for a successor");
                reply.is_success()
            }
            Err(error) => {
                tracing::warn!(worker, %error, "no successor found");
                false
            }
        }
    }
}
