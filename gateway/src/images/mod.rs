//! Image names: each maps to one program, an image that was built here or a file of the image folder, and to nothing
//! outside these.

mod name;
mod registry;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use openfaas::names::NameError;

pub(crate) use self::name::ImageName;
use self::registry::Registry;
use crate::error::StorageError;

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
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A binary, and what tells it from a later build at the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binary {
    pub(crate) path: PathBuf,
    inode: u64,
    length: u64,
    modified: SystemTime,
}

/// All images.
#[derive(Debug)]
pub(crate) struct Images {
    folder: PathBuf,
    registry: Registry,
}

impl Images {
    /// The programs in `folder` and the images that were built into `state_dir`.
    pub(crate) fn open(state_dir: &Path, folder: &Path) -> Result<Self, StorageError> {
        Ok(Self { folder: folder.to_owned(), registry: Registry::open(state_dir)? })
    }

    /// The binary that `image` names: of one that was built here and a program of the image folder the one that was
    /// made last, so that neither hides what was just built.
    pub(crate) fn resolve(&self, image: &str) -> Result<Binary, ImageError> {
        let name = ImageName::parse(image)?;
        let found = self.in_folder(image, &name);
        let Some(built) = self.registry.find(&name)? else { return found };
        match found {
            Ok(found) if found.modified > built.time => Ok(found),
            _ => binary(image, built.program),
        }
    }

    /// Makes a copy of `program` the image `name`, built from a context with the digest `context`.
    pub(crate) fn register(
        &self,
        name: &ImageName,
        context: &str,
        program: &Path,
    ) -> Result<(), StorageError> {
        self.registry.register(name, context, program)
    }

    /// Whether `name` was built from a context with the digest `context`, and so need not be built again.
    pub(crate) fn confirm(&self, name: &ImageName, context: &str) -> Result<bool, StorageError> {
        let built = self.registry.find(name)?.is_some_and(|it| it.context == context && it.program.exists());
        if built {
            self.registry.confirm(name)?;
        }
        Ok(built)
    }

    fn in_folder(&self, image: &str, name: &ImageName) -> Result<Binary, ImageError> {
        let missing =
            |path: &Path, source| ImageError::Missing { image: shown(image), path: path.to_owned(), source };
        let folder = self.folder.canonicalize().map_err(|error| missing(&self.folder, error))?;
        let wanted = folder.join(name.base());
        let path = wanted.canonicalize().map_err(|error| missing(&wanted, error))?;
        if !path.starts_with(&folder) {
            return Err(ImageError::Outside { image: shown(image), path, folder });
        }
        binary(image, path)
    }
}

fn binary(image: &str, path: PathBuf) -> Result<Binary, ImageError> {
    let read = path.metadata().and_then(|metadata| Ok((metadata.modified()?, metadata)));
    let (modified, metadata) = match read {
        Ok(read) => read,
        Err(source) => return Err(ImageError::Missing { image: shown(image), path, source }),
    };
    if !metadata.is_file() || metadata.mode() & 0o111 == 0 {
        return Err(ImageError::NotExecutable { image: shown(image), path });
    }
    Ok(Binary { path, inode: metadata.ino(), length: metadata.len(), modified })
}

fn shown(image: &str) -> String {
    image.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::fs::File;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::time::Duration;

    use super::*;

    fn executable(path: &Path) {
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn finds_the_binary_and_notices_a_new_build() {
        let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        executable(&folder.path().join("echo"));
        let images = Images::open(state.path(), folder.path()).unwrap();
        let first = images.resolve("docker.io/me/echo:latest").unwrap();
        assert_eq!(first, images.resolve("echo").unwrap());
        fs::write(&first.path, "#!/bin/sh\nexit 1\n").unwrap();
        assert_ne!(first, images.resolve("echo").unwrap());
    }

    #[test]
    fn what_was_built_last_runs() {
        let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (program, built) = (folder.path().join("echo"), folder.path().join("built"));
        executable(&program);
        fs::write(&built, "built").unwrap();
        let images = Images::open(state.path(), folder.path()).unwrap();
        let name = ImageName::parse("me/echo").unwrap();
        images.register(&name, "c", &built).unwrap();
        let at = |time| File::options().write(true).open(&program).unwrap().set_modified(time).unwrap();
        at(SystemTime::now() - Duration::from_secs(60));
        let registered = images.resolve("me/echo").unwrap();
        assert!(registered.path.starts_with(state.path()));
        assert!(images.resolve("other/echo").unwrap().path.starts_with(folder.path()));
        at(SystemTime::now());
        assert!(images.resolve("me/echo:latest").unwrap().path.starts_with(folder.path()));
        assert!(!images.confirm(&name, "another").unwrap());
        assert!(images.confirm(&name, "c").unwrap());
        assert_eq!(images.resolve("me/echo:latest").unwrap(), registered);
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
        let images = Images::open(&outer.path().join("state"), &folder).unwrap();
        for image in
            ["../evil", "..", "", ":latest", "/", "me/..", "evil", "link", "folder", "text", "a\0b", "A"]
        {
            let error = images.resolve(image).unwrap_err().to_string();
            assert!(error.starts_with("image "), "{error}");
        }
    }
}
