//! Which runs this replica has workers of.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many workers of each run this replica has.
#[derive(Clone, Default)]
pub(crate) struct Seats(Arc<Mutex<HashMap<String, usize>>>);

/// A worker of a run, from the moment on at which its invocation came: two that come at the same time see each
/// other. It counts until this is dropped.
pub struct Seat {
    seats: Seats,
    run: String,
}

impl Seats {
    /// Takes one; `None` where it shall be the run's only one here, and is not.
    pub(crate) fn take(&self, run: &str, alone: bool) -> Option<Seat> {
        let mut counts = self.counts();
        let count = counts.entry(run.to_owned()).or_default();
        if alone && *count > 0 {
            return None;
        }
        *count += 1;
        Some(Seat { seats: self.clone(), run: run.to_owned() })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        // Counts are changed in one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.seats.counts();
        if let Some(count) = counts.get_mut(&self.run) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.run);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_to_be_alone_finds_no_seat_beside_another() {
        let seats = Seats::default();
        let first = seats.take("run", true).unwrap();
        assert!(seats.take("run", true).is_none());
        assert!(seats.take("another", true).is_some());
        let second = seats.take("run", false).unwrap();
        drop(first);
        assert!(seats.take("run", true).is_none());
        drop(second);
        assert!(seats.take("run", true).is_some() && seats.counts().is_empty());
    }
}
