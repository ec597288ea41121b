//! Asynchronous invocations: kept on disk, called until the function answers, then forgotten.
//!
//! Delivery is at least once: a gateway that is killed between a function's answer and the removal of the invocation
//! calls again after its restart, under the same `X-Call-Id`. While a call runs, however long, it is not made a second
//! time: the connection to its replica is the lease, which ends with the answer or with the replica.

mod batch;
mod callback;
mod calls;
mod dispatcher;
mod invocation;
pub(crate) mod policy;
mod spool;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::calls::{Calls, Ticket};
use crate::Shared;
use crate::config::QueueConfig;
use crate::error::{Refusal, StorageError};

pub(crate) use self::callback::parse_url as parse_callback_url;
pub(crate) use self::invocation::Invocation;
use self::spool::Spool;

/// The queue of a gateway.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) config: QueueConfig,
    spool: Spool,
    length: AtomicUsize,
    calls: Calls,
}

impl Queue {
    pub(crate) fn open(state_dir: &Path, config: QueueConfig) -> Result<Self, StorageError> {
        let spool = Spool::open(state_dir)?;
        Ok(Self { config, spool, length: AtomicUsize::new(0), calls: Calls::default() })
    }

    /// Whether an invocation by which the clock called `function` waits or runs.
    pub(crate) fn any_scheduled(&self, function: &str) -> bool {
        self.calls.any_scheduled(function)
    }

    /// Takes back the invocations with this id, of `function` if that is named: they are not called again, and a call
    /// that runs is cut off. Whether there was one.
    pub(crate) async fn cancel(&self, function: Option<&str>, call_id: &str) -> Result<bool, Refusal> {
        let tickets = self.calls.find(function, call_id);
        for ticket in &tickets {
            ticket.cancelled.cancel();
            if ticket.end() {
                // Whoever is told that it is cancelled must not see it again after a crash.
                self.spool.forget(ticket.record.clone()).await?;
            }
        }
        Ok(!tickets.is_empty())
    }

    /// Forgets an invocation that is done.
    fn done(&self, ticket: &Ticket) {
        self.length.fetch_sub(1, Ordering::Relaxed);
        if ticket.end() {
            self.spool.done(ticket.record.clone());
        }
        self.calls.remove(ticket);
    }

    /// From now on nothing is kept, and nothing written: the folder is free for another gateway.
    pub(crate) fn close(&self) {
        self.spool.close();
    }
}

/// Takes up what an earlier gateway left, once all replicas of that have ended: nothing runs twice at the same time.
pub(crate) fn resume(shared: &Shared) -> Result<(), StorageError> {
    let queue = &shared.queue;
    let left = queue.spool.list()?;
    if !left.is_empty() {
        tracing::info!(invocations = left.len(), "taking up queued invocations");
    }
    queue.length.store(left.len(), Ordering::Relaxed);
    let add = |(record, invocation)| queue.calls.add(record, &invocation);
    let tickets: Vec<_> = left.into_iter().map(add).collect();
    let (leftovers, later) = (shared.supervisor.leftovers(), shared.clone());
    shared.context.tasks.spawn(async move {
        tokio::select! {
            biased;
            () = later.context.tasks.draining() => return,
            () = leftovers.ended() => {}
        }
        tickets.into_iter().for_each(|ticket| begin(&later, ticket));
    });
    Ok(())
}

/// Queues an invocation; it is durable when this returns. It is called even if whoever waits for that leaves.
pub(crate) async fn push(shared: &Shared, invocation: Invocation) -> Result<(), Refusal> {
    let queue = &shared.queue;
    if queue.length.fetch_add(1, Ordering::Relaxed) >= queue.config.capacity {
        queue.length.fetch_sub(1, Ordering::Relaxed);
        return Err(Refusal::Unavailable(format!(
            "the queue is full: {} invocations wait",
            queue.config.capacity
        )));
    }
    let shared = shared.clone();
    let kept = tokio::spawn(async move {
        let kept = shared.queue.spool.push(&invocation).await;
        let kept = kept.inspect_err(|_| _ = shared.queue.length.fetch_sub(1, Ordering::Relaxed));
        kept.map(|record| begin(&shared, shared.queue.calls.add(record, &invocation)))
    });
    kept.await.map_err(|_| Refusal::Task)?
}

fn begin(shared: &Shared, ticket: Arc<Ticket>) {
    let (tasks, shared) = (shared.context.tasks.clone(), shared.clone());
    tasks.spawn(async move { dispatcher::dispatch(shared, ticket).await });
}
