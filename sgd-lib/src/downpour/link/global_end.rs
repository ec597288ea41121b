//! The end in the global store of a worker whose log is in its node's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::downpour::log::LogError;
use crate::downpour::run::Run;
use crate::downpour::site::Site;
use crate::store::{Control, Cursors, EntryId, Exchange, Lease, RunKeys, Store, StoreError};

/// Between two looks at the global store.
const LOOK: Duration = Duration::from_millis(10);
/// How long a worker that leaves waits until what it pushed is passed on.
const PASSING_ON: Duration = Duration::from_secs(3);

/// See the module.
pub(in crate::downpour) struct GlobalEnd {
    pub(super) store: Arc<dyn Store>,
    pub(super) run: RunKeys,
    /// The right to the worker's number; a holder who has lost it has to go.
    lease: Lease,
    site: Site,
    looked: Option<Instant>,
    pub(super) control: Control,
}

impl GlobalEnd {
    /// Of the worker that holds `lease` in the run's global store.
    pub(in crate::downpour) fn new(run: &Run, lease: Lease, site: Site) -> Self {
        Self {
            store: run.store().clone(),
            run: run.keys().clone(),
            lease,
            site,
            looked: None,
            control: Control::default(),
        }
    }

    /// Renews the lease, tells what happened, and reads the control record, where it is time for any of it.
    /// Whether the lease is ours.
    pub(super) fn look(&mut self, events: &[Vec<u8>]) -> Result<bool, StoreError> {
        if events.is_empty() && self.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
            return Ok(true);
        }
        let none = Cursors::new();
        let look = Exchange { lease: Some(&self.lease), cursors: Some(&none), events, ..Exchange::default() };
        let found = self.store.exchange(&self.run, &look)?;
        self.looked = Some(Instant::now());
        self.control = found.control;
        Ok(found.lease_held)
    }

    /// Waits until the node's synchronizer, or a successor of it, has passed on the worker's pushes up to
    /// `last`, its last ones: then anybody anywhere can go on.
    pub(super) fn leave_home(&mut self, last: EntryId) -> Result<(), LogError> {
        let worker = self.lease.worker;
        let deadline = Instant::now() + PASSING_ON;
        while !self.site.await_passing_on(worker, last, self.lease.ttl / 3)? {
            if Instant::now() > deadline || !self.look(&[])? {
                tracing::warn!(worker, "nobody has passed on the last pushes yet");
                return Ok(());
            }
        }
        self.site.let_go(&*self.store, &self.run, &self.lease)
    }
}
