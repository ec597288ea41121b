//! The clock of the store in memory: the system's. In tests of all that may happen it is a number that a step has.

#[cfg(test)]
use std::cell::Cell;
use std::time::{Instant, SystemTime};

#[cfg(test)]
thread_local! {
    /// Where time stands still on this thread: an instant of all steps alike, and milliseconds.
    static STILL: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// Does `work` at the time `ms`, which is `instant` as well: nothing expires by itself.
#[cfg(test)]
pub(super) fn stand_still<T>(instant: Instant, ms: u64, work: impl FnOnce() -> T) -> T {
    STILL.set(Some((instant, ms)));
    let result = work();
    STILL.set(None);
    result
}

pub(super) fn now() -> Instant {
    #[cfg(test)]
    if let Some((instant, _)) = STILL.get() {
        return instant;
    }
    Instant::now()
}

/// Milliseconds since 1970.
pub(super) fn since_1970_ms() -> u64 {
    #[cfg(test)]
    if let Some((_, ms)) = STILL.get() {
        return ms;
    }
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
