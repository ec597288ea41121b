//! What goes wrong at the start ([`GatewayError`]) and what a request is refused with ([`Refusal`]).

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::patience::BodyError;

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Anyone on the network could start processes.
    #[error("{0} is not a loopback address: the gateway needs basic authentication there (basic_auth)")]
    NeedsAuthentication(SocketAddr),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A second gateway on the same folder would start every function twice.
    #[error("{} is in use by another gateway", .0.display())]
    InUse(PathBuf),
    /// A credentials file with nothing in it.
    #[error("{} is empty: wanted a user name or password", .0.display())]
    EmptyCredential(PathBuf),
    /// Anyone could sign a build.
    #[error("{} is empty: wanted the secret that builds are signed with", .0.display())]
    EmptySecret(PathBuf),
    /// The state folder cannot be read or written, or holds a damaged file.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Called outside of a tokio runtime.
    #[error("the gateway must be started within a tokio runtime")]
    NoRuntime,
}

/// A file of the state folder that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The system refused.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what the gateway writes: torn by a full disk, or edited.
    #[error("{} is damaged ({source}): remove it, or put it back from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: serde_json::Error,
    },
}

impl StorageError {
    /// Whether the file may be whole, so that it is worth another try.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() != io::ErrorKind::NotFound)
    }

    /// Whether there is no room for more: the disk is full, or a quota or limit is reached.
    pub(crate) fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), StorageFull | QuotaExceeded | FileTooLarge))
    }

    /// The same, for another who waited for the same file.
    pub(crate) fn once_more(&self) -> Self {
        match self {
            Self::Io { verb, path, source } => {
                let same = source.raw_os_error().map(io::Error::from_raw_os_error);
                Self::Io { verb, path: path.clone(), source: same.unwrap_or_else(|| source.kind().into()) }
            }
            Self::Damaged { path, source } => {
                Self::Damaged { path: path.clone(), source: serde::de::Error::custom(source) }
            }
        }
    }

    /// An error of the system while doing `verb` to `path`.
    pub(crate) fn io(verb: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { verb, path, source }
    }
}

/// Why a request is refused: a status and one line of text, as OpenFaaS answers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Unauthorized(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Exists(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("{0}")]
    TooSlow(String),
    #[error("{0}")]
    Unprocessable(String),
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("an internal task failed")]
    Task,
}

impl Refusal {
    /// A deployment that cannot be, with the reason.
    pub(crate) fn validation(reason: impl std::fmt::Display) -> Self {
        Self::Invalid(format!("validation failed: {reason}"))
    }

    /// The function that no one deployed.
    pub(crate) fn no_function(name: &str) -> Self {
        Self::NotFound(format!("error finding function {name}: not found"))
    }

    /// A body that could not be read.
    pub(crate) fn body(error: &(dyn std::error::Error + 'static)) -> Self {
        let text = format!("cannot read the body: {error}");
        if BodyError::is_slow(error) { Self::TooSlow(text) } else { Self::Invalid(text) }
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Exists(_) => StatusCode::CONFLICT,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Storage(error) if error.is_full() => StatusCode::INSUFFICIENT_STORAGE,
            Self::Storage(_) | Self::Task => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            tracing::error!(error = %self, "request failed");
        }
        (self.status(), format!("{self}\n")).into_response()
    }
}
