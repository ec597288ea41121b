//! The lock file: a healthy function has one, for probes that run a command instead of asking by HTTP.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Exists as long as this value, unless somebody removes it from outside to mark the function unhealthy.
#[derive(Debug)]
pub(crate) struct LockFile(PathBuf);

impl LockFile {
    /// Creates the file, and its folder where that is missing.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        File::create(path)?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("lock file {} could not be removed: {error}", self.0.display());
        }
    }
}
