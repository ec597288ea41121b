//! The request to stop, as everyone who must hear it sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Says whether the function was asked to stop. Clones share the answer, which never goes back to no.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<State>);

#[derive(Debug)]
struct State {
    requested: AtomicBool,
    notify: Notify,
}

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State { requested: AtomicBool::new(false), notify: Notify::new() }))
    }

    /// One atomic load: cheap enough for the inner loop of a computation.
    pub fn is_requested(&self) -> bool {
        self.0.requested.load(Ordering::Acquire)
    }

    /// Completes when the function is asked to stop; at once if it was already.
    pub async fn requested(&self) {
        // Created before the flag is read: a request between the two wakes it all the same.
        let notified = self.0.notify.notified();
        if !self.is_requested() {
            notified.await;
        }
    }

    pub(crate) fn request(&self) {
        self.0.requested.store(true, Ordering::Release);
        self.0.notify.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wakes_those_who_wait_and_those_who_come_late() {
        let shutdown = Shutdown::new();
        assert!(!shutdown.is_requested());
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        tokio::task::yield_now().await;
        shutdown.request();
        waiting.await.unwrap();
        shutdown.requested().await;
        assert!(shutdown.clone().is_requested());
    }
}
