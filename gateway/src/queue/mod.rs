//! Asynchronous invocations: kept on disk, called until the function answers, then forgotten.
//!
//! Delivery is at least once: a gateway that is killed between a function's answer and the removal of the invocation
//! calls again after its restart, under the same `X-Call-Id`.

mod callback;
mod dispatcher;
mod spool;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

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
}

impl Queue {
    pub(crate) fn open(state_dir: &Path, config: QueueConfig) -> Result<Self, StorageError> {
        Ok(Self { config, spool: Spool::open(state_dir)?, length: AtomicUsize::new(0) })
    }

    /// Gives up an invocation that cannot be read; its file is kept under another name.
    fn set_aside(&self, path: &Path) -> Result<PathBuf, StorageError> {
        self.length.fetch_sub(1, Ordering::Relaxed);
        self.spool.set_aside(path)
    }

    /// Forgets an invocation that is done.
    fn done(&self, path: &Path) {
        self.length.fetch_sub(1, Ordering::Relaxed);
        if let Err(error) = storage::remove(path) {
            tracing::error!(%error, "an invocation that is done will be called again after a restart");
        }
    }
}

/// Takes up what an earlier gateway left.
pub(crate) fn resume(shared: &Shared) -> Result<(), StorageError> {
    let paths = shared.queue.spool.list()?;
    if !paths.is_empty() {
        tracing::info!(invocations = paths.len(), "taking up queued invocations");
    }
    shared.queue.length.store(paths.len(), Ordering::Relaxed);
    paths.into_iter().for_each(|path| begin(shared, path));
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
        Ok(path) => begin(shared, path),
        Err(error) => {
            queue.length.fetch_sub(1, Ordering::Relaxed);
            return Err(error.into());
        }
    }
    Ok(())
}

fn begin(shared: &Shared, path: PathBuf) {
    let (tasks, shared) = (shared.context.tasks.clone(), shared.clone());
    tasks.spawn(async move { dispatcher::dispatch(shared, path).await });
}
