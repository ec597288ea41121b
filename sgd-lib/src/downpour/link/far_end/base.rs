//! The worker's base as a whole: taken from the store, and written as a snapshot.

use super::FarEnd;
use crate::downpour::link::Reply;
use crate::downpour::log::{self, Folded, LogError, Until};
use crate::store::{EntryId, Position};

impl FarEnd {
    /// Something was trimmed before it was read: base anew, from snapshot and log. What was added up so
    /// far is void.
    pub(in crate::downpour::link) fn rebuild(
        &mut self,
        awaited: Option<&[Position]>,
        reply: &mut Reply,
    ) -> Result<(), LogError> {
        let until = |_| awaited.map(<[Position]>::to_vec);
        let until = Until::Stand(self.lease.worker, &until);
        let base = Folded::load_until(&*self.store, &self.run, &self.rows, until)?;
        self.held.clear();
        self.stand_on(base, reply)
    }

    /// What was read from the store as a whole replaces the worker's base. It may come over a connection on which
    /// nobody has asked yet what was lost: that is done with the next exchange, by a `since` that stays as it is. What
    /// this worker pushed, which is known from here on as the store has it, has to be there now.
    pub(in crate::downpour::link) fn stand_on(
        &mut self,
        base: Folded,
        reply: &mut Reply,
    ) -> Result<(), LogError> {
        let own = base.vector.get(&self.lease.worker).map_or(EntryId::ZERO, |mark| mark.id);
        if own < self.last() {
            let run = self.run.run().to_owned();
            return Err(LogError::Forgot { run, what: "a push" });
        }
        self.read.clone_from(&base.vector);
        self.folded = base.vector;
        self.base_since = base.since;
        self.snapshot_version = base.snapshot_version;
        self.log_bytes = base.log_bytes;
        reply.rebuilt = Some(base.parameters);
        Ok(())
    }

    /// Writes the worker's base as the next snapshot.
    pub(in crate::downpour::link) fn write_snapshot(&mut self, parameters: &[f32]) -> Result<(), LogError> {
        let holder = &self.lease.holder;
        let written =
            log::write_snapshot(&*self.store, &self.run, holder, &self.folded, parameters, self.base_since)?;
        // Where somebody else is at it a later one will do; but who fetches snapshots has to see that what it
        // pushed gets into one.
        if written.is_some() || self.recent.is_none() {
            self.log_bytes = 0;
        }
        self.snapshot_version = written.unwrap_or(self.snapshot_version);
        Ok(())
    }
}
