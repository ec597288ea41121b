//! A request's body that may not take for ever: while it is waited for, time runs off, and what comes earns some more.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep};

/// So many bytes earn a second: whoever sends faster on average is never cut off.
const BYTES_PER_SECOND: u32 = 1 << 10;

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// It stopped coming, or hardly comes.
    #[error("the body does not come: nothing, or less than {BYTES_PER_SECOND} bytes a second, for {0:?}")]
    Slow(Duration),
    /// It broke off, or is no HTTP.
    #[error(transparent)]
    Broken(#[from] hyper::Error),
}

impl BodyError {
    /// Whether `error` is that a body does not come.
    pub(crate) fn is_slow(error: &(dyn std::error::Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if matches!(error.downcast_ref(), Some(Self::Slow(_))) {
                return true;
            }
            next = error.source();
        }
        false
    }
}

/// A body that is waited for no longer than a limit in all, and a second for each so many bytes.
pub(crate) struct Patient {
    body: Incoming,
    limit: Duration,
    /// What is left of the time.
    left: Duration,
    /// Since when it is waited for, and until when.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Patient {
    pub(crate) fn new(body: Incoming, limit: Duration) -> Self {
        Self { body, limit, left: limit, waiting: None }
    }

    /// Something came, at last.
    fn came(&mut self, frame: Option<&Frame<Bytes>>) {
        if let Some((since, _)) = self.waiting.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let bytes = frame.and_then(Frame::data_ref).map_or(0, Buf::remaining);
        let earned = Duration::from_secs(1).mul_f64(bytes as f64 / f64::from(BYTES_PER_SECOND));
        self.left = (self.left + earned).min(self.limit);
    }
}

impl HttpBody for Patient {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.came(frame.as_ref().and_then(|frame| frame.as_ref().ok()));
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)));
        }
        let left = self.left;
        let (_, end) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        match end.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(BodyError::Slow(self.limit)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
