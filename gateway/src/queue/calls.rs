//! The invocations that wait or run, by their ids, so that they can be taken back.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::spool::Invocation;

/// One invocation on its way.
#[derive(Clone, Debug)]
pub(super) struct Ticket {
    /// Its file, which no other invocation has.
    pub(super) path: PathBuf,
    pub(super) function: Arc<str>,
    pub(super) call_id: Arc<str>,
    /// Whether the clock called, not somebody.
    scheduled: bool,
    pub(super) cancelled: CancellationToken,
}

/// All of them. A caller may use the same id again, so there may be several under one.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<HashMap<Arc<str>, Vec<Ticket>>>);

impl Calls {
    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Ticket>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, path: PathBuf, invocation: &Invocation) -> Ticket {
        let ticket = Ticket {
            path,
            function: invocation.function.as_str().into(),
            call_id: invocation.call_id.as_str().into(),
            scheduled: invocation.scheduled,
            cancelled: CancellationToken::new(),
        };
        self.all().entry(ticket.call_id.clone()).or_default().push(ticket.clone());
        ticket
    }

    pub(super) fn remove(&self, ticket: &Ticket) {
        let mut all = self.all();
        if let Some(tickets) = all.get_mut(&ticket.call_id) {
            tickets.retain(|other| other.path != ticket.path);
            if tickets.is_empty() {
                all.remove(&ticket.call_id);
            }
        }
    }

    /// Whether there is one by which the clock called `function`.
    pub(super) fn any_scheduled(&self, function: &str) -> bool {
        self.all().values().flatten().any(|ticket| ticket.scheduled && *ticket.function == *function)
    }

    /// Those with this id, of `function` if that is named.
    pub(super) fn find(&self, function: Option<&str>, call_id: &str) -> Vec<Ticket> {
        let all = self.all();
        let tickets = all.get(call_id).into_iter().flatten();
        tickets.filter(|ticket| function.is_none_or(|name| *name == *ticket.function)).cloned().collect()
    }
}
