//! One call of the function, as its handler sees it.

use std::time::Instant;

use bytes::Bytes;
use hyper::{HeaderMap, Method, Uri};

use crate::in_flight::InFlight;
use crate::shutdown::Shutdown;

/// A request whose body has been read to its end.
///
/// The handler's future is dropped when `deadline` passes and when the caller closes the connection.
#[derive(Debug)]
pub struct Call {
    /// The HTTP method.
    pub method: Method,
    /// Path and query as the client sent them.
    pub uri: Uri,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The whole body, at most `max_body_bytes`.
    pub body: Bytes,
    /// The caller's `X-Call-Id`, or a new UUID; the reply repeats it.
    pub call_id: String,
    /// When the handler is cancelled: the request's arrival + exec_timeout. `None`: never. Work that
    /// goes on after the reply is not cancelled, and should end by then on its own.
    pub deadline: Option<Instant>,
    pub(crate) in_flight: InFlight,
    pub(crate) shutdown: Shutdown,
}

impl Call {
    /// The path, which begins with `/`.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// What follows the `?`, if anything, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.uri.query()
    }

    /// A guard that keeps the call in flight: hold it in the thread that goes on after the reply, and
    /// `max_inflight`, readiness and the drain before exit all count it.
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.clone()
    }

    /// Tells when the function is asked to stop. Work that outlives the reply must heed it: the process
    /// ends at the latest `healthcheck_interval + write_timeout` later.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }
}
