//! A data set in the store, for workers that lack its files: compressed chunks and a manifest.

use std::path::Path;

use crate::dataset::{ChunkWriter, Dataset, DatasetError, Manifest, Rebuild};
use crate::state::{self, StateError};
use crate::store::{RUN_TTL, Store, StoreError};

/// Why a data set did not get into the store or out of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShipmentError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The manifest is none.
    #[error(transparent)]
    State(#[from] StateError),
    /// A chunk is none, or the prepared file can't be written.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// It is not there, or not all of it.
    #[error("{key}: not in the store; a setup with dataset_source=store puts it there")]
    Missing {
        /// The key that is missing.
        key: String,
    },
}

fn key(digest: u64, name: impl std::fmt::Display) -> String {
    format!("dp:data:{{{digest:016x}}}:{name}")
}

/// Puts a data set into the store, unless it is there. Its manifest comes last: with it the data set is
/// whole.
///
/// # Errors
/// The store fails.
pub fn publish(store: &dyn Store, data: &Dataset) -> Result<(), ShipmentError> {
    let manifest_key = key(data.digest(), "manifest");
    if state::get::<Manifest>(store, &manifest_key)?.is_some() {
        return Ok(());
    }
    for (index, chunk) in data.chunks().enumerate() {
        store.create_blob(&key(data.digest(), index), &chunk, RUN_TTL)?;
    }
    match state::put(store, &manifest_key, &data.manifest(), 0, Some(RUN_TTL)) {
        // Somebody else put the same data there meanwhile.
        Ok(_) | Err(StateError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens a data set from the store: its prepared file is rebuilt in `cache_dir`, chunk by chunk, unless
/// it is there.
///
/// # Errors
/// The store fails, has no such data set, or a chunk is torn.
pub fn retrieve(store: &dyn Store, digest: u64, cache_dir: &Path) -> Result<Dataset, ShipmentError> {
    let missing = |key: String| ShipmentError::Missing { key };
    let manifest_key = key(digest, "manifest");
    let manifest = state::get::<Manifest>(store, &manifest_key)?.ok_or_else(|| missing(manifest_key))?.value;
    let mut writer = match ChunkWriter::start(cache_dir, &manifest)? {
        Rebuild::Present(data) => return Ok(data),
        Rebuild::Missing(writer) => writer,
    };
    for index in writer.next_index()..manifest.chunks {
        let key = key(digest, index);
        let chunk = store.read_blob(&key)?.ok_or_else(|| missing(key))?;
        writer.push(&chunk)?;
    }
    Ok(writer.finish()?)
}
