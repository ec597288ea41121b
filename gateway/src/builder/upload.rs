//! A request's body, received into a file that has no name and so is gone with the request.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::signature::Check;
use crate::error::{Refusal, StorageError};

/// Bytes that a build's tar may have.
const LIMIT: usize = 256 << 20;
/// How long the next piece of it may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// All of `body`, if it is signed.
pub(crate) async fn receive(folder: &Path, body: Body, mut check: Check) -> Result<File, Refusal> {
    let file = tempfile::tempfile_in(folder).map_err(StorageError::io("write to", folder))?;
    let mut file = tokio::fs::File::from_std(file);
    let mut body = Limited::new(body, LIMIT);
    let stopped =
        |_| Refusal::Invalid(format!("the body stopped coming: nothing within {} s", PATIENCE.as_secs()));
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.map_err(stopped)? {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Refusal::TooLarge(format!("the build has more than {LIMIT} bytes: is a target folder in it?"))
            } else {
                Refusal::Invalid(format!("cannot read the body: {error}"))
            }
        })?;
        if let Some(piece) = frame.data_ref() {
            check.update(piece);
            file.write_all(piece).await.map_err(StorageError::io("write to", folder))?;
        }
    }
    file.flush().await.map_err(StorageError::io("write to", folder))?;
    check.finish()?;
    Ok(file.into_std().await)
}
