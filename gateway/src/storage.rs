//! Files that are whole or absent: written beside their place, synced, and renamed into it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::StorageError;

/// What the names of unfinished files begin with; [`list`] removes those that a crash left.
pub(crate) const UNFINISHED: &str = ".unfinished-";

/// Creates a folder, and those above it, that only this user can enter.
pub(crate) fn create_folder(path: &Path) -> Result<(), StorageError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StorageError::io("create", path))
}

/// Replaces `path` by `bytes`, readable for this user only; durable when it returns.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let Some(folder) = path.parent() else {
        return Err(StorageError::io("write", path)(ErrorKind::InvalidInput.into()));
    };
    // Not of the file's own name, which may be as long as a name can be.
    let unfinished = folder.join(format!("{UNFINISHED}{:032x}", rand::random::<u128>()));
    let written = write_new(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, path));
    written.map_err(|source| {
        let _ = fs::remove_file(&unfinished);
        StorageError::io("write", path)(source)
    })?;
    sync_folder_of(path)
}

/// Makes durable that a file has got its name, or lost it.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), StorageError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(StorageError::io("write", path))
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// [`write()`] of a value as JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StorageError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|source| StorageError::Damaged { path: path.to_owned(), source })?;
    write(path, &bytes)
}

/// Reads what [`write_json`] wrote.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, StorageError> {
    let bytes = fs::read(path).map_err(StorageError::io("read", path))?;
    serde_json::from_slice(&bytes).map_err(|source| StorageError::Damaged { path: path.to_owned(), source })
}

/// Removes a file; one that is not there is no error.
pub(crate) fn remove(path: &Path) -> Result<(), StorageError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(StorageError::io("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The files of a folder in the order of their names, without those that a crash left unfinished.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, StorageError> {
    let read = StorageError::io("read", folder);
    let entries = match fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => return Err(read(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            remove(&entry.path())?;
        } else {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_is_private_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        write_json(&path, &vec![1, 2]).unwrap();
        write_json(&path, &vec![3]).unwrap();
        assert_eq!(read_json::<Vec<i32>>(&path).unwrap(), [3]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_name_may_be_as_long_as_the_system_allows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a".repeat(255));
        write(&path, b"x").unwrap();
        assert_eq!(list(folder.path()).unwrap(), [path]);
    }

    #[test]
    fn a_torn_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("torn.json");
        fs::write(&path, "[1, 2").unwrap();
        let error = read_json::<Vec<i32>>(&path).unwrap_err().to_string();
        assert!(error.contains("torn.json is damaged"), "{error}");
    }

    #[test]
    fn unfinished_files_are_cleared_away() {
        let folder = tempfile::tempdir().unwrap();
        let unfinished = folder.path().join(".unfinished-a");
        fs::write(&unfinished, "half").unwrap();
        fs::write(folder.path().join("b"), "").unwrap();
        assert_eq!(list(folder.path()).unwrap(), [folder.path().join("b")]);
        assert!(!unfinished.exists());
    }
}
