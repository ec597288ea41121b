//! What is done when the store was reached anew: it may have been restarted without its last writes.

use std::time::Instant;

use super::FarEnd;
use crate::downpour::log::LogError;

impl FarEnd {
    /// On a new connection that was `made` then the store had all that was known; a worker's first one is nothing
    /// new.
    pub(super) fn note_connection(&mut self, made: Option<Instant>) {
        self.reconnected |= made.is_some() && self.renewed.is_some();
        self.since = made.unwrap_or(self.since);
    }

    /// After the store was reached anew, says again what it may have forgotten, and gives the others time to come
    /// back before anybody misses them. Whether it was reached anew.
    pub(super) fn agree_again(&mut self) -> Result<bool, LogError> {
        if !std::mem::take(&mut self.reconnected) {
            return Ok(false);
        }
        self.watched = Instant::now();
        if self.recent.is_some() {
            // One of the same version may have been made anew.
            self.snapshot_version = 0;
        }
        if self.global.is_none()
            && let Some(workers) = self.workers
            && self.store.fix_workers(&self.run, workers)? != workers
        {
            let run = self.run.run().to_owned();
            return Err(LogError::Forgot { run, what: "the number of workers" });
        }
        Ok(true)
    }
}
