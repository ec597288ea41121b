//! Secrets: one private file each; their values go into replicas, and never out of the gateway.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openfaas::names::check_subdomain;
use openfaas::types::{DEFAULT_NAMESPACE, Secret};

use crate::error::{Refusal, StorageError};
use crate::storage;

/// The folder of secrets.
#[derive(Debug)]
pub(crate) struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    pub(crate) fn open(state_dir: &Path) -> Result<Self, StorageError> {
        let folder = state_dir.join("secrets");
        storage::create_folder(&folder)?;
        storage::list(&folder)?;
        Ok(Self { folder })
    }

    /// Names only.
    pub(crate) fn list(&self) -> Result<Vec<Secret>, Refusal> {
        let paths = storage::list(&self.folder)?;
        let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let secret = |name| Secret { name, namespace: DEFAULT_NAMESPACE.to_owned(), ..Secret::default() };
        Ok(paths.iter().filter_map(name).map(secret).collect())
    }

    /// Adds a secret that is not there yet.
    pub(crate) fn create(&self, secret: &Secret) -> Result<(), Refusal> {
        let path = self.path(&secret.name)?;
        if path.exists() {
            return Err(Refusal::Exists(format!("secret {} already exists", secret.name)));
        }
        Ok(storage::write(&path, &value(secret)?)?)
    }

    /// Replaces the value of a secret; running replicas see the new one.
    pub(crate) fn update(&self, secret: &Secret) -> Result<(), Refusal> {
        let path = self.existing(&secret.name)?;
        Ok(storage::write(&path, &value(secret)?)?)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Refusal> {
        Ok(storage::remove(&self.existing(name)?)?)
    }

    /// The file of a secret that must be there.
    pub(crate) fn existing(&self, name: &str) -> Result<PathBuf, Refusal> {
        let path = self.path(name)?;
        if path.exists() { Ok(path) } else { Err(Refusal::NotFound(format!("secret {name} not found"))) }
    }

    fn path(&self, name: &str) -> Result<PathBuf, Refusal> {
        check_subdomain("secret name", name).map_err(|error| Refusal::Invalid(error.to_string()))?;
        Ok(self.folder.join(name))
    }
}

fn value(secret: &Secret) -> Result<Vec<u8>, Refusal> {
    match (&secret.raw_value, &secret.value) {
        // The decoder's error would print a part of the value.
        (Some(raw), _) if !raw.is_empty() => STANDARD
            .decode(raw)
            .map_err(|_| Refusal::Invalid(format!("secret {}: rawValue is not base64", secret.name))),
        (_, Some(text)) if !text.is_empty() => Ok(text.as_bytes().to_vec()),
        _ => {
            Err(Refusal::Invalid(format!("secret {}: wanted value or rawValue, both are empty", secret.name)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(name: &str, value: Option<&str>, raw: Option<&str>) -> Secret {
        Secret {
            name: name.into(),
            value: value.map(Into::into),
            raw_value: raw.map(Into::into),
            ..Secret::default()
        }
    }

    #[test]
    fn bytes_win_over_text() {
        assert_eq!(value(&secret("s", Some("text"), Some("AP8="))).unwrap(), [0, 255]);
        assert_eq!(value(&secret("s", Some("text"), Some(""))).unwrap(), b"text");
        let error = value(&secret("s", None, Some("hush!"))).unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
        assert!(value(&secret("s", None, None)).is_err());
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(folder.path()).unwrap();
        for name in ["../deployments", "a/b", "", ".."] {
            assert!(secrets.create(&secret(name, Some("x"), None)).is_err());
        }
        assert!(secrets.list().unwrap().is_empty());
    }
}
