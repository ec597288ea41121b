//! The process group of a replica or a build: signalled as a whole, and never left behind.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The groups that are alive, so that a gateway that is dropped can end them all at once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups(Arc<Mutex<HashSet<Pid>>>);

impl Groups {
    /// SIGKILL to every process of every group.
    pub(crate) fn kill_all(&self) {
        for leader in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = kill_process_group(*leader, Signal::KILL);
        }
    }
}

/// One group; what is left of it is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Group {
    leader: Option<Pid>,
    all: Groups,
}

impl Group {
    /// The group that `child` was started as the leader of.
    pub(crate) fn of(groups: &Groups, child: &Child) -> Self {
        let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let all = groups.clone();
        if let Some(leader) = leader {
            all.0.lock().unwrap_or_else(PoisonError::into_inner).insert(leader);
        }
        Self { leader, all }
    }

    /// Sends `signal` to all of it; that nobody is left to receive it is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            let _ = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(leader) = self.leader {
            self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&leader);
        }
    }
}
