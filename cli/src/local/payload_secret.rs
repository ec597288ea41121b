//! The secret that `faas-cli` signs with what it sends to be built.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The absolute path of the file `path`, which is made with a random secret where there is none.
///
/// # Errors
/// It is not there and can't be written.
pub(crate) fn ensure(path: &Path) -> Result<PathBuf> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let mut secret = [0; 32];
            getrandom::fill(&mut secret).context("no random numbers for --payload-secret")?;
            let text: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(file, "{text}").with_context(|| format!("can't write {}", path.display()))?;
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("can't make {}", path.display())),
    }
    path.canonicalize().with_context(|| format!("can't use {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_private() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().canonicalize().unwrap().join("secret");
        assert_eq!(ensure(&path).unwrap(), path);
        let secret = fs::read_to_string(&path).unwrap();
        assert_eq!(secret.trim().len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        ensure(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), secret);
        let error = format!("{:#}", ensure(&dir.path().join("none/secret")).unwrap_err());
        assert!(error.contains("can't make") && error.contains("none/secret"), "{error}");
    }
}
