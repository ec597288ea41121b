//! Whether a function is in use: which calls are under way, and since when there are none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The calls of one function.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    total: u64,
    under_way: usize,
    /// The last time that something happened.
    since: Instant,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { total: 0, under_way: 0, since: Instant::now() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call as under way until what it returns is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state();
        state.total += 1;
        state.under_way += 1;
        UnderWay(self.clone())
    }

    /// Calls so far.
    pub(super) fn total(&self) -> u64 {
        self.state().total
    }

    /// How long nothing has happened; `None` while a call is under way.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let state = self.state();
        (state.under_way == 0).then(|| state.since.elapsed())
    }

    /// Starts the time of idleness anew.
    pub(super) fn touch(&self) {
        self.state().since = Instant::now();
    }
}

/// A call from its arrival to the end of its answer.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way -= 1;
        state.since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_idle_during_a_call() {
        let activity = Activity::new();
        assert!(activity.idle_for().is_some());
        let calls = [activity.begin(), activity.begin()];
        assert_eq!((activity.idle_for(), activity.total()), (None, 2));
        drop(calls);
        assert!(activity.idle_for().is_some());
        assert_eq!(activity.total(), 2);
    }
}
