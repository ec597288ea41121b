//! The thread that talks to the store while the worker computes.
//!
//! One request is under way at a time. The far end keeps the vector that the worker's base stands at:
//! it moves with each reply, and the worker folds each reply before it sends the next request.

mod far_end;
mod global_end;
#[cfg(test)]
mod model;
mod reconnection;
mod snapshots;
#[cfg(test)]
mod tests;

use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};

use super::log::LogError;
use crate::store::{Control, EntryId, EntryKind, Position, Progress, PushOutcome};

pub(super) use far_end::FarEnd;
pub(super) use global_end::GlobalEnd;
pub(super) use snapshots::are_worth_it;

/// What the worker wants of the store. The buffers come back in the [`Reply`].
#[derive(Default)]
pub(super) struct Request {
    /// An encoded delta: its kind, where the worker stands after it.
    pub(super) push: Option<(EntryKind, Progress)>,
    /// The encoded delta.
    pub(super) payload: Vec<u8>,
    /// Read what the others pushed.
    pub(super) fetch: bool,
    /// Where each worker has to stand before anything is folded in, and up to where it is then; `None`:
    /// everything is, as it comes.
    pub(super) awaited: Option<Vec<Position>>,
    /// Takes the sum of what the others pushed.
    pub(super) sum: Vec<f32>,
    /// The worker's base as it stands: write it as a snapshot before anything else.
    pub(super) snapshot: Option<Vec<f32>>,
    /// Events to append.
    pub(super) events: Vec<Vec<u8>>,
    /// Nothing more will be pushed: answer when everything stands in the global store.
    pub(super) pass_on: bool,
}

/// What a request brought.
#[derive(Default)]
pub(super) struct Reply {
    /// What became of the push.
    pub(super) push: Option<PushOutcome>,
    /// The request's buffer.
    pub(super) payload: Vec<u8>,
    /// The request's buffer: the sum of what was folded in.
    pub(super) sum: Vec<f32>,
    /// Whether the sum holds anything.
    pub(super) folded: bool,
    /// Nobody has to be waited for any more.
    pub(super) complete: bool,
    /// Pushes by others that were folded in.
    pub(super) pushes: u64,
    /// Bytes of their payloads.
    pub(super) bytes: u64,
    /// Instead of a sum: base, rebuilt from snapshot and log.
    pub(super) rebuilt: Option<Vec<f32>>,
    /// The control record, where a fetch was asked for.
    pub(super) control: Option<Control>,
    /// False when the lease is somebody else's.
    pub(super) lease_held: bool,
    /// The store was reached anew: it may have been restarted without its last writes.
    pub(super) reconnected: bool,
    /// The log has grown so much that a snapshot should be written.
    pub(super) snapshot_due: bool,
    /// Workers whose lease nobody holds, where somebody looked.
    pub(super) missing: Option<Vec<u32>>,
    /// Where each worker stands, where a fetch was asked for.
    pub(super) stands: Vec<Progress>,
    /// The last entry of the worker's own stream, and where the worker stood then.
    pub(super) own: (EntryId, Position),
}

/// The worker's end of the link.
pub(super) struct Link {
    requests: Option<SyncSender<Request>>,
    replies: Receiver<Result<Reply, LogError>>,
    thread: Option<JoinHandle<()>>,
    in_flight: bool,
}

impl Link {
    /// Starts the thread.
    pub(super) fn start(end: FarEnd, worker: u32) -> std::io::Result<Self> {
        let (requests, incoming) = sync_channel(1);
        let (outgoing, replies) = sync_channel(1);
        let thread = thread::Builder::new()
            .name(format!("link-{worker}"))
            .spawn(move || end.serve(&incoming, &outgoing))?;
        Ok(Self { requests: Some(requests), replies, thread: Some(thread), in_flight: false })
    }

    /// Whether a request is under way.
    pub(super) fn in_flight(&self) -> bool {
        self.in_flight
    }

    /// Sends a request. None may be under way.
    pub(super) fn send(&mut self, request: Request) {
        debug_assert!(!self.in_flight, "one request at a time");
        // A link that ended has left its error where the reply is awaited.
        self.in_flight = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
    }

    /// The reply, if it is there.
    pub(super) fn poll(&mut self) -> Option<Result<Reply, LogError>> {
        match self.replies.try_recv() {
            Ok(reply) => {
                self.in_flight = false;
                Some(reply)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }

    /// Waits for the reply. `None` when no request is under way.
    pub(super) fn wait(&mut self) -> Option<Result<Reply, LogError>> {
        if !self.in_flight {
            return None;
        }
        self.in_flight = false;
        self.replies.recv().ok()
    }
}

impl Link {
    /// Ends the thread, after what it is doing: no lease is renewed from here on.
    pub(super) fn close(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the link to the store panicked");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}
