//! The invocations that wait or run, by their ids, so that they can be taken back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::batch::Record;
use super::invocation::Invocation;

/// One invocation on its way.
#[derive(Debug)]
pub(super) struct Ticket {
    /// Where it is kept.
    pub(super) record: Record,
    pub(super) function: Arc<str>,
    pub(super) call_id: Arc<str>,
    /// Whether the clock called, not somebody.
    scheduled: bool,
    pub(super) cancelled: CancellationToken,
    over: AtomicBool,
}

impl Ticket {
    /// Notes that it is done or was taken back; whether it is the first to say so.
    pub(super) fn end(&self) -> bool {
        !self.over.swap(true, Ordering::Relaxed)
    }
}

/// All of them. A caller may use the same id again, so there may be several under one.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<HashMap<Arc<str>, Vec<Arc<Ticket>>>>);

impl Calls {
    fn all(&self) -> MutexGuard<'_, HashMap<Arc<str>, Vec<Arc<Ticket>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, record: Record, invocation: &Invocation) -> Arc<Ticket> {
        let ticket = Arc::new(Ticket {
            record,
            function: invocation.function.as_str().into(),
            call_id: invocation.call_id.as_str().into(),
            scheduled: invocation.scheduled,
            cancelled: CancellationToken::new(),
            over: AtomicBool::new(false),
        });
        self.all().entry(ticket.call_id.clone()).or_default().push(ticket.clone());
        ticket
    }

    pub(super) fn remove(&self, ticket: &Ticket) {
        let mut all = self.all();
        if let Some(tickets) = all.get_mut(&ticket.call_id) {
            tickets.retain(|other| !other.record.is(&ticket.record));
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
    pub(super) fn find(&self, function: Option<&str>, call_id: &str) -> Vec<Arc<Ticket>> {
        let all = self.all();
        let tickets = all.get(call_id).into_iter().flatten();
        tickets.filter(|ticket| function.is_none_or(|name| *name == *ticket.function)).cloned().collect()
    }
}
