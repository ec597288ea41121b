//! Reading a request's body within bounds of size and time.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};

use crate::reply::Reply;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the request's body is larger than max_body_bytes, {max} bytes\n")]
    TooLarge { max: usize },
    #[error("the request's body did not arrive within read_timeout, {limit:?}\n")]
    TimedOut { limit: Duration },
    #[error("the request's body could not be read: {reason}\n")]
    Broken { reason: String },
}

impl BodyError {
    /// The rest of the body stays unread, so the connection can't be used again.
    pub(crate) fn into_reply(self) -> Reply {
        let status = match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Broken { .. } => StatusCode::BAD_REQUEST,
        };
        Reply::text(status, self.to_string()).header(CONNECTION, HeaderValue::from_static("close"))
    }
}

/// Reads the body to its end: at most `max` bytes, within `limit`.
pub(crate) async fn read(body: Incoming, max: usize, limit: Option<Duration>) -> Result<Bytes, BodyError> {
    // What is announced as too large need not be sent first. What is not announced is counted.
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > max) {
        return Err(BodyError::TooLarge { max });
    }
    let whole = Limited::new(body, max).collect();
    let read = match limit {
        None => whole.await,
        Some(limit) => tokio::time::timeout(limit, whole).await.map_err(|_| BodyError::TimedOut { limit })?,
    };
    match read {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge { max }),
        Err(error) => Err(BodyError::Broken { reason: error.to_string() }),
    }
}
