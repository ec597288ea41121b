//! The gateway's tasks: all known, so that a shutdown can wait for them, and all ended when it is dropped.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where tasks are started.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    draining: CancellationToken,
    killed: CancellationToken,
}

impl Tasks {
    /// Runs `task` to its end or until [`Tasks::kill`].
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let killed = self.killed.clone();
        self.tracker.spawn(async move { killed.run_until_cancelled_owned(task).await });
    }

    /// Tells tasks to finish what they are at and begin nothing new.
    pub(crate) fn drain(&self) {
        self.draining.cancel();
        self.tracker.close();
    }

    /// Comes back when [`Tasks::drain`] was called.
    pub(crate) async fn draining(&self) {
        self.draining.cancelled().await;
    }

    /// Waits at most `limit` for all tasks to end; whether they did.
    pub(crate) async fn ended(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }

    /// Drops all tasks wherever they are.
    pub(crate) fn kill(&self) {
        self.drain();
        self.killed.cancel();
    }
}
