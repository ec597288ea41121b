//! The images that were built here: a program each, and a record that says which.
//!
//! Programs are named by their content and never changed, and a record is replaced as a whole. So what a record
//! names is always what it was made for, wherever a crash cuts in.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::name::ImageName;
use crate::digest::{self, hex};
use crate::error::StorageError;
use crate::storage;

/// What is kept of an image.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    image: String,
    /// The digest of the build context.
    context: String,
    /// The program's file name.
    program: String,
}

/// An image that was built here.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) program: PathBuf,
    /// The digest of the build context that it was made of.
    pub(crate) context: String,
    /// When it was last asked for by a build.
    pub(crate) time: SystemTime,
}

/// The folder of images.
#[derive(Debug)]
pub(crate) struct Registry {
    records: PathBuf,
    programs: PathBuf,
    changing: Mutex<()>,
}

impl Registry {
    pub(crate) fn open(state_dir: &Path) -> Result<Self, StorageError> {
        let folder = state_dir.join("images");
        let registry = Self {
            records: folder.join("records"),
            programs: folder.join("programs"),
            changing: Mutex::default(),
        };
        storage::create_folder(&registry.records)?;
        storage::create_folder(&registry.programs)?;
        Ok(registry)
    }

    /// The image `name`, if it was built here.
    pub(crate) fn find(&self, name: &ImageName) -> Result<Option<Registered>, StorageError> {
        let path = self.record(name);
        let time = match path.metadata().and_then(|metadata| metadata.modified()) {
            Ok(time) => time,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StorageError::io("read", path)(error)),
        };
        let record: Record = storage::read_json(&path)?;
        Ok(Some(Registered { program: self.programs.join(record.program), context: record.context, time }))
    }

    /// Makes a copy of `program` the image `name`, built from a context with the digest `context`.
    pub(crate) fn register(
        &self,
        name: &ImageName,
        context: &str,
        program: &Path,
    ) -> Result<(), StorageError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = digest::of_file(program).map_err(StorageError::io("read", program))?;
        let program_name = format!("{}-{}", name.base(), &hex(&digest)[..16]);
        let kept = self.programs.join(&program_name);
        // Its inode and its time stay where the build came to the same: nothing has to be replaced.
        if !kept.exists() {
            copy(program, &kept).map_err(StorageError::io("write", &kept))?;
        }
        let record =
            Record { image: name.full().to_owned(), context: context.to_owned(), program: program_name };
        storage::write_json(&self.record(name), &record)?;
        self.clear()
    }

    /// Says that a build of `name` came to what is there already.
    pub(crate) fn confirm(&self, name: &ImageName) -> Result<(), StorageError> {
        let path = self.record(name);
        let touched =
            File::options().write(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        touched.map_err(StorageError::io("write", path))
    }

    /// Removes programs that no record names. A process that runs one of them keeps it.
    fn clear(&self) -> Result<(), StorageError> {
        let records = storage::list(&self.records)?;
        let used = records
            .iter()
            .map(|path| Ok(self.programs.join(storage::read_json::<Record>(path)?.program)))
            .collect::<Result<Vec<_>, StorageError>>()?;
        let unused = storage::list(&self.programs)?.into_iter().filter(|path| !used.contains(path));
        unused.into_iter().try_for_each(|path| storage::remove(&path))
    }

    fn record(&self, name: &ImageName) -> PathBuf {
        self.records.join(format!("{}.json", name.file_name()))
    }
}

/// Copies a program; it is whole or absent.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new().prefix(storage::UNFINISHED).tempfile_in(folder)?;
    io::copy(&mut File::open(from)?, &mut file)?;
    file.as_file().set_permissions(Permissions::from_mode(0o700))?;
    file.as_file().sync_all()?;
    // Replaced by its path, and closed: a file that is open for writing cannot be executed.
    fs::rename(file.into_temp_path().keep()?, to)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_survive_a_restart_and_what_they_no_longer_use_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "2").unwrap();
        let (echo, other) = (ImageName::parse("me/echo").unwrap(), ImageName::parse("me/other").unwrap());
        let registry = Registry::open(folder.path()).unwrap();
        assert!(registry.find(&echo).unwrap().is_none());
        registry.register(&echo, "c1", &one).unwrap();
        registry.register(&other, "c1", &one).unwrap();
        let first = registry.find(&echo).unwrap().unwrap();
        assert_eq!(first.context, "c1");
        assert_eq!(fs::metadata(&first.program).unwrap().permissions().mode() & 0o777, 0o700);

        let registry = Registry::open(folder.path()).unwrap();
        registry.register(&echo, "c2", &two).unwrap();
        let second = registry.find(&echo).unwrap().unwrap();
        assert_eq!(fs::read(&second.program).unwrap(), b"2");
        assert!(!first.program.exists());
        assert_eq!(fs::read(registry.find(&other).unwrap().unwrap().program).unwrap(), b"1");
    }
}
