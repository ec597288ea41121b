//! Image names: each maps to one binary in the image folder, and to nothing outside it.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use openfaas::names::{NameError, check_label};

/// Why an image cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error("image {image:?}: cannot use {}: {source}", path.display())]
    Missing { image: String, path: PathBuf, source: std::io::Error },
    #[error("image {image:?}: {} lies outside of {}", path.display(), folder.display())]
    Outside { image: String, path: PathBuf, folder: PathBuf },
    #[error("image {image:?}: {} is not an executable file", path.display())]
    NotExecutable { image: String, path: PathBuf },
}

/// A binary, and what tells it from a later build at the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binary {
    pub(crate) path: PathBuf,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

/// `docker.io/me/echo:latest@sha256:…` → `echo`.
fn base_name(image: &str) -> &str {
    let untagged = image.split('@').next().unwrap_or_default();
    let last = untagged.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

/// The binary that `image` names in `folder`.
pub(crate) fn resolve(folder: &Path, image: &str) -> Result<Binary, ImageError> {
    let name = base_name(image);
    check_label("image", name)?;
    let shown = || image.chars().take(120).collect::<String>();
    let missing = |path: &Path, source| ImageError::Missing { image: shown(), path: path.to_owned(), source };
    let folder = folder.canonicalize().map_err(|error| missing(folder, error))?;
    let wanted = folder.join(name);
    let path = wanted.canonicalize().map_err(|error| missing(&wanted, error))?;
    if !path.starts_with(&folder) {
        return Err(ImageError::Outside { image: shown(), path, folder });
    }
    let metadata = path.metadata().map_err(|error| missing(&wanted, error))?;
    if !metadata.is_file() || metadata.mode() & 0o111 == 0 {
        return Err(ImageError::NotExecutable { image: shown(), path });
    }
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    Ok(Binary { path, inode: metadata.ino(), length: metadata.len(), modified })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn executable(path: &Path) {
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn registry_tag_and_digest_are_cut() {
        for image in
            ["echo", "echo:1", "me/echo", "docker.io/me/echo:latest", "localhost:5000/echo@sha256:00"]
        {
            assert_eq!(base_name(image), "echo", "{image}");
        }
    }

    #[test]
    fn finds_the_binary_and_notices_a_new_build() {
        let folder = tempfile::tempdir().unwrap();
        executable(&folder.path().join("echo"));
        let first = resolve(folder.path(), "docker.io/me/echo:latest").unwrap();
        assert_eq!(first, resolve(folder.path(), "echo").unwrap());
        fs::write(&first.path, "#!/bin/sh\nexit 1\n").unwrap();
        assert_ne!(first, resolve(folder.path(), "echo").unwrap());
    }

    #[test]
    fn nothing_outside_the_folder_can_be_named() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("images");
        fs::create_dir(&folder).unwrap();
        executable(&outer.path().join("evil"));
        symlink(outer.path().join("evil"), folder.join("link")).unwrap();
        fs::create_dir(folder.join("folder")).unwrap();
        fs::write(folder.join("text"), "").unwrap();
        for image in
            ["../evil", "..", "", ":latest", "/", "me/..", "evil", "link", "folder", "text", "a\0b", "A"]
        {
            let error = resolve(&folder, image).unwrap_err().to_string();
            assert!(error.starts_with("image "), "{error}");
        }
    }
}
