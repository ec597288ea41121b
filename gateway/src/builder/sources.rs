//! The folder that contexts are built in.
//!
//! There is one, and each context in its turn is brought into it by changing only what differs from the one before.
//! Cargo tells what to build again by the times of files: those that two functions share, such as crates that are
//! copied into every context, keep theirs, and a file that another function has, too, but with another content, is
//! newer than what was built of it. With a folder for each function cargo would take the crates of one for those of
//! the other, as it names what it builds by paths within a workspace.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::archive::{ArchiveError, Contents, Entry, Node, each_entry};
use crate::digest;
use crate::error::StorageError;

/// Why sources are not as they should be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourcesError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Makes `folder` hold the context of a tar that was read before, and nothing else.
pub(crate) fn bring(folder: &Path, tar: impl Read, contents: &Contents) -> Result<(), SourcesError> {
    // First, so that no link is left that could be written through.
    prune(folder, Path::new(""), contents)?;
    for (path, _) in contents.nodes.iter().filter(|(_, node)| **node == Node::Folder) {
        let path = folder.join(path);
        fs::create_dir_all(&path).map_err(StorageError::io("create", path))?;
    }
    each_entry(tar, |entry| {
        let Entry::File { path, executable, content } = entry else { return Ok(()) };
        let wanted = contents.nodes.get(&path);
        let path = folder.join(&path);
        if present(&path).as_ref() != wanted {
            write(&path, executable, content).map_err(StorageError::io("write", path))?;
        }
        Ok(())
    })
}

/// Removes from `folder/below` what the context does not have, or has as something else.
fn prune(folder: &Path, below: &Path, contents: &Contents) -> Result<(), StorageError> {
    let here = folder.join(below);
    let entries = fs::read_dir(&here).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.map_err(StorageError::io("read", &here))? {
        let (path, name) = (entry.path(), below.join(entry.file_name()));
        let kind = entry.file_type().map_err(StorageError::io("read", &path))?;
        let removed = match contents.nodes.get(&name) {
            Some(Node::Folder) if kind.is_dir() => {
                prune(folder, &name, contents)?;
                continue;
            }
            Some(Node::File { .. }) if kind.is_file() => continue,
            _ if kind.is_dir() => fs::remove_dir_all(&path),
            _ => fs::remove_file(&path),
        };
        removed.map_err(StorageError::io("remove", path))?;
    }
    Ok(())
}

/// The file that is there; `None` also where it cannot be read.
fn present(path: &Path) -> Option<Node> {
    let mode = fs::symlink_metadata(path).ok()?.permissions().mode();
    Some(Node::File { executable: mode & 0o111 != 0, digest: digest::of_file(path).ok()? })
}

fn write(path: &Path, executable: bool, content: &mut dyn Read) -> io::Result<()> {
    let mut file = File::create(path)?;
    io::copy(content, &mut file)?;
    file.set_permissions(Permissions::from_mode(if executable { 0o755 } else { 0o644 }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::{Duration, SystemTime};

    use super::super::faas_cli::{config, file, tar};
    use super::*;

    fn bring_all(folder: &Path, files: &[(&str, &str)]) {
        let mut entries: Vec<_> =
            files.iter().map(|(path, text)| file(&format!("context/{path}"), text)).collect();
        entries.push(config("me/fn"));
        let tar = tar(&entries);
        bring(folder, &tar[..], &Contents::read(&tar[..]).unwrap()).unwrap();
    }

    #[test]
    fn only_what_differs_is_written_and_what_is_gone_goes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        bring_all(folder.path(), &[("shared/lib.rs", "lib"), ("function/main.rs", "one"), ("only/here", "")]);
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for path in ["shared/lib.rs", "function/main.rs"] {
            File::options().write(true).open(at(path)).unwrap().set_modified(long_ago).unwrap();
        }
        bring_all(folder.path(), &[("shared/lib.rs", "lib"), ("function/main.rs", "two")]);
        let modified = |path: &str| at(path).metadata().unwrap().modified().unwrap();
        assert_eq!(modified("shared/lib.rs"), long_ago);
        assert!(modified("function/main.rs") > long_ago);
        assert_eq!(fs::read_to_string(at("function/main.rs")).unwrap(), "two");
        assert!(!at("only").exists());
    }

    #[test]
    fn links_that_a_build_left_lead_nowhere() {
        let (folder, outer) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outer.path().join("file"), "untouched").unwrap();
        symlink(outer.path(), folder.path().join("a")).unwrap();
        symlink(outer.path().join("file"), folder.path().join("file")).unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        bring_all(folder.path(), &[("a/file", "1"), ("file", "2"), ("b", "a file now")]);
        assert_eq!(fs::read_to_string(outer.path().join("file")).unwrap(), "untouched");
        assert_eq!(fs::read_to_string(folder.path().join("a/file")).unwrap(), "1");
        assert_eq!(fs::read_to_string(folder.path().join("b")).unwrap(), "a file now");
    }
}
