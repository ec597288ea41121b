//! A data set in the store, for workers that lack its files: compressed chunks and a manifest, and under
//! the data set's name which one it is.

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
    #[error(
        "{key}: not in the store; `downpour data push` puts it there, or a setup with files and dataset_source=store"
    )]
    Missing {
        /// The key that is missing.
        key: String,
    },
}

/// What [`publish`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    /// Chunks of the data set.
    pub chunks: u32,
    /// Those that were not in the store yet.
    pub written: u32,
    /// Their bytes, compressed.
    pub bytes: u64,
}

fn key(digest: u64, name: impl std::fmt::Display) -> String {
    format!("dp:data:{{{digest:016x}}}:{name}")
}

fn manifest_key(digest: u64) -> String {
    key(digest, "manifest")
}

fn name_key(name: &str) -> String {
    format!("dp:data:name:{name}")
}

/// Puts a data set into the store, as far as it is not there, and lets it live for another
/// [`RUN_TTL`]. Its manifest comes after the chunks: with it the data set is whole. From then on it is the
/// one of its name.
///
/// # Errors
/// The store fails.
pub fn publish(store: &dyn Store, data: &Dataset) -> Result<Shipped, ShipmentError> {
    let manifest = data.manifest();
    let mut shipped = Shipped { chunks: manifest.chunks, written: 0, bytes: 0 };
    if !is_whole(store, &manifest)? {
        for (index, chunk) in data.chunks().enumerate() {
            if store.create_blob(&key(manifest.digest, index), &chunk, RUN_TTL)? {
                shipped.written += 1;
                shipped.bytes += chunk.len() as u64;
            }
        }
        match state::put(store, &manifest_key(manifest.digest), &manifest, 0, Some(RUN_TTL)) {
            // Somebody else put the same data there meanwhile, or it had lost some chunks only.
            Ok(_) | Err(StateError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    assign_name(store, &manifest)?;
    Ok(shipped)
}

/// The data set of this name in the store, which lives for another [`RUN_TTL`] from now on.
///
/// # Errors
/// The store fails, or has only a part of it.
pub fn find(store: &dyn Store, name: &str) -> Result<Option<Manifest>, ShipmentError> {
    let Some(digest) = state::get::<u64>(store, &name_key(name))? else { return Ok(None) };
    let manifest = manifest(store, digest.value)?;
    if !is_whole(store, &manifest)? {
        return Err(ShipmentError::Missing { key: key(manifest.digest, "*") });
    }
    store.renew(&[name_key(name)], RUN_TTL)?;
    Ok(Some(manifest))
}

/// Whether manifest and chunks are all there; they live for another [`RUN_TTL`] from now on.
fn is_whole(store: &dyn Store, manifest: &Manifest) -> Result<bool, StoreError> {
    let mut keys = vec![manifest_key(manifest.digest)];
    keys.extend((0..manifest.chunks).map(|index| key(manifest.digest, index)));
    Ok(store.renew(&keys, RUN_TTL)? == keys.len())
}

fn assign_name(store: &dyn Store, manifest: &Manifest) -> Result<(), ShipmentError> {
    let key = name_key(&manifest.name);
    loop {
        let found = state::get::<u64>(store, &key)?;
        let version = found.map_or(0, |found| found.version);
        match state::put(store, &key, &manifest.digest, version, Some(RUN_TTL)) {
            Ok(_) => return Ok(()),
            // Somebody else was faster; whoever comes last has the name.
            Err(StateError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn manifest(store: &dyn Store, digest: u64) -> Result<Manifest, ShipmentError> {
    let key = manifest_key(digest);
    match state::get::<Manifest>(store, &key)? {
        Some(manifest) => Ok(manifest.value),
        None => Err(ShipmentError::Missing { key }),
    }
}

/// Opens a data set from the store: its prepared file is rebuilt in `cache_dir`, chunk by chunk, unless
/// it is there.
///
/// # Errors
/// The store fails, has no such data set, or a chunk is torn.
pub fn retrieve(store: &dyn Store, digest: u64, cache_dir: &Path) -> Result<Dataset, ShipmentError> {
    let manifest = manifest(store, digest)?;
    let mut writer = match ChunkWriter::start(cache_dir, &manifest)? {
        Rebuild::Present(data) => return Ok(data),
        Rebuild::Missing(writer) => writer,
    };
    for index in writer.next_index()..manifest.chunks {
        let key = key(digest, index);
        let chunk = store.read_blob(&key)?.ok_or(ShipmentError::Missing { key })?;
        writer.push(&chunk)?;
    }
    Ok(writer.finish()?)
}
