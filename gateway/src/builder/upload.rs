//! A request's body, received into a file that has no name and so is gone with the request.

use std::fs::File;
use std::path::Path;

use axum::body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::io::AsyncWriteExt;

use super::signature::Check;
use crate::error::{Refusal, StorageError};

/// Bytes that a build's tar may have.
const LIMIT: usize = 256 << 20;

/// All of `body`, if it is signed.
pub(crate) async fn receive(folder: &Path, body: Body, mut check: Check) -> Result<File, Refusal> {
    let file = tempfile::tempfile_in(folder).map_err(StorageError::io("write to", folder))?;
    let mut file = tokio::fs::File::from_std(file);
    let mut body = Limited::new(body, LIMIT);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                Refusal::TooLarge(format!("the build has more than {LIMIT} bytes: is a target folder in it?"))
            } else {
                Refusal::body(&*error)
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
