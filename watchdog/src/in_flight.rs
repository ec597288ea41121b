//! Which calls are in flight: the limit, readiness and the drain all ask the same counter.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::sync::watch;

/// The counter of calls in flight, with its limit.
#[derive(Debug, Clone)]
pub(crate) struct Calls {
    count: watch::Sender<usize>,
    max: Option<NonZeroUsize>,
}

/// A call counts as in flight while any clone of this lives, also after its reply was sent. It may move
/// into any thread.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// Held, never read. `None`: the call is a probe, which does not count.
    _slot: Option<Arc<Slot>>,
}

#[derive(Debug)]
struct Slot(watch::Sender<usize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

impl Calls {
    pub(crate) fn new(max: Option<NonZeroUsize>) -> Self {
        Self { count: watch::Sender::new(0), max }
    }

    /// Counts a new call, or says which limit is reached.
    pub(crate) fn admit(&self) -> Result<InFlight, NonZeroUsize> {
        let mut full = None;
        // Check and increment under the channel's lock: two calls can't take the last place.
        self.count.send_if_modified(|count| {
            full = self.max.filter(|max| *count >= max.get());
            *count += usize::from(full.is_none());
            full.is_none()
        });
        match full {
            Some(max) => Err(max),
            None => Ok(InFlight { _slot: Some(Arc::new(Slot(self.count.clone()))) }),
        }
    }

    /// For a probe: neither counted nor limited.
    pub(crate) fn admit_uncounted() -> InFlight {
        InFlight { _slot: None }
    }

    pub(crate) fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// The limit, if it is reached.
    pub(crate) fn full(&self) -> Option<NonZeroUsize> {
        self.max.filter(|max| self.count() >= max.get())
    }

    /// Completes when no call is in flight.
    pub(crate) async fn idle(&self) {
        // Fails only when the sender is gone, and `self` holds one.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_when_the_last_clone_is_gone() {
        let calls = Calls::new(NonZeroUsize::new(1));
        let call = calls.admit().unwrap();
        let background = call.clone();
        drop(call);
        assert_eq!(calls.admit().unwrap_err().get(), 1);
        assert_eq!((calls.count(), calls.full()), (1, NonZeroUsize::new(1)));
        std::thread::spawn(move || drop(background)).join().unwrap();
        assert_eq!((calls.count(), calls.full()), (0, None));
        assert!(calls.admit().is_ok());
    }

    #[test]
    fn threads_never_exceed_the_limit() {
        let calls = Calls::new(NonZeroUsize::new(3));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let admitted = calls.admit();
                        assert!(calls.count() <= 3);
                        drop(admitted);
                    }
                });
            }
        });
        assert_eq!(calls.count(), 0);
    }

    #[tokio::test]
    async fn idle_waits_for_the_last_call() {
        let calls = Calls::new(None);
        calls.idle().await;
        let call = calls.admit().unwrap();
        let waiting = tokio::spawn({
            let calls = calls.clone();
            async move { calls.idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(call);
        waiting.await.unwrap();
    }
}
