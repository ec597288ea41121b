//! What can go wrong in a call.

use std::error::Error as _;

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none.
    #[error("the gateway's address is {found:?} ({reason}), wanted http://HOST[:PORT]")]
    Address {
        /// What was given.
        found: String,
        /// Why it is none.
        reason: String,
    },
    /// No HTTP client could be made.
    #[error("the HTTP client can't be set up: {0}")]
    Setup(String),
    /// No answer: refused, broken off, or too late.
    #[error("{method} {url}: {reason}")]
    NoAnswer {
        /// The request's method.
        method: &'static str,
        /// The request's address.
        url: String,
        /// Why.
        reason: String,
    },
    /// An answer whose status says that the call failed.
    #[error("{method} {url}: status {status}: {first_line}")]
    Status {
        /// The request's method.
        method: &'static str,
        /// The request's address.
        url: String,
        /// The answer's status.
        status: u16,
        /// The first line of the answer's body.
        first_line: String,
    },
    /// An answer that makes no sense.
    #[error("{method} {url}: the answer is wrong: {reason}")]
    Answer {
        /// The request's method.
        method: &'static str,
        /// The request's address.
        url: String,
        /// What was found and wanted.
        reason: String,
    },
}

impl ClientError {
    /// The answer's status, where there was an answer.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            _ => None,
        }
    }
}

/// An error and its causes in one line; the caller adds the address.
pub(super) fn reasons(error: reqwest::Error) -> String {
    let timed_out = error.is_timeout();
    let error = error.without_url();
    let mut reasons = if timed_out { "no answer in time".to_owned() } else { error.to_string() };
    let mut source = error.source();
    while let Some(cause) = source {
        reasons.push_str(": ");
        reasons.push_str(&cause.to_string());
        source = cause.source();
    }
    reasons
}
