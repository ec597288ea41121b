//! Asynchronous invocations: kept on disk, called until the function answers, then forgotten.
//!
//! Delivery is at least once: a gateway that is killed between a function's answer and the removal of the invocation
//! calls again after its restart, under the same `X-Call-Id`. While a call runs, however long, it is not made a second
//! time: the connection to its replica is the lease, which ends with the answer or with the replica.

mod callback;
mod calls;
mod dispatcher;
pub(crate) mod policy;
mod spool;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use self::calls::{Calls, Ticket};
use crate::config::QueueConfig;
use crate::error::{Refusal, StorageError};
use crate::{Shared, storage};

pub(crate) use self::callback::parse_url as parse_callback_url;
pub(crate) use self::spool::Invocation;
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
    /// that runs is cut off. Whether there was one. Removes files: not for an asynchronous task.
    pub(crate) fn cancel(&self, function: Option<&str>, call_id: &str) -> Result<bool, StorageError> {
        let tickets = self.calls.find(function, call_id);
        for ticket in &tickets {
            ticket.cancelled.cancel();
            // Whoever is told that it is cancelled must not see it again after a crash.
            storage::remove(&ticket.path)?;
        }
        Ok(!tickets.is_empty())
    }

    /// Gives up an invocation that cannot be read; its file is kept under another name.
    fn set_aside(&self, path: &Path, error: &StorageError) {
        self.length.fetch_sub(1, Ordering::Relaxed);
        let kept = self.spool.set_aside(path);
        tracing::error!(%error, ?kept, "a queued invocation cannot be read");
    }

    /// Forgets an invocation that is done.
    fn done(&self, ticket: &Ticket) {
        self.length.fetch_sub(1, Ordering::Relaxed);
        if let Err(error) = storage::remove(&ticket.path) {
            tracing::error!(%error, "an invocation that is done will be called again after a restart");
        }
        self.calls.remove(ticket);
    }
}

/// Takes up what an earlier gateway left.
pub(crate) fn resume(shared: &Shared) -> Result<(), StorageError> {
    let paths = shared.queue.spool.list()?;
    if !paths.is_empty() {
        tracing::info!(invocations = paths.len(), "taking up queued invocations");
    }
    shared.queue.length.store(paths.len(), Ordering::Relaxed);
    let mut tickets = Vec::new();
    for path in paths {
        match storage::read_json::<Invocation>(&path) {
            Ok(invocation) => tickets.push(shared.queue.calls.add(path, &invocation)),
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => shared.queue.set_aside(&path, &error),
        }
    }
    tickets.into_iter().for_each(|ticket| begin(shared, ticket));
    Ok(())
}

/// Queues an invocation; it is durable when this returns. Writes a file: not for an asynchronous task.
pub(crate) fn push(shared: &Shared, invocation: &Invocation) -> Result<(), Refusal> {
    let queue = &shared.queue;
    if queue.length.fetch_add(1, Ordering::Relaxed) >= queue.config.capacity {
        queue.length.fetch_sub(1, Ordering::Relaxed);
        return Err(Refusal::Unavailable(format!(
            "the queue is full: {} invocations wait",
            queue.config.capacity
        )));
    }
    match queue.spool.push(invocation) {
        Ok(path) => begin(shared, queue.calls.add(path, invocation)),
        Err(error) => {
            queue.length.fetch_sub(1, Ordering::Relaxed);
            return Err(error.into());
        }
    }
    Ok(())
}

fn begin(shared: &Shared, ticket: Ticket) {
    let (tasks, shared) = (shared.context.tasks.clone(), shared.clone());
    tasks.spawn(async move { dispatcher::dispatch(shared, ticket).await });
}
