//! Takes files out of a zip archive.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

/// Why files can't be taken out of an archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// The archive is damaged, or none.
    #[error("{}: {source}", path.display())]
    Archive { path: PathBuf, source: ZipError },
    /// The archive lacks a file.
    #[error("{} holds no file called {member}", path.display())]
    Missing { path: PathBuf, member: String },
    /// A file in the archive is larger than any data set's.
    #[error("{} in {} is larger than {limit} bytes", member, path.display())]
    TooLarge { path: PathBuf, member: String, limit: u64 },
    /// A file can't be written or the archive can't be read.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The largest file of EMNIST's archive is 200 MB.
const LARGEST_MEMBER: u64 = 1 << 30;

/// Takes `members` out of `folder` (with its slash) of the archive and writes them into `dir`. Each
/// appears under its name only when it is complete.
///
/// # Errors
/// The archive is damaged or lacks a member, a member is too large, or a file can't be written.
pub(crate) fn extract(path: &Path, folder: &str, members: &[&str], dir: &Path) -> Result<(), ArchiveError> {
    let file = File::open(path).map_err(|source| ArchiveError::Io { path: path.to_owned(), source })?;
    each_member(BufReader::new(file), path, folder, members, |entry, member| {
        write_member(entry, path, &dir.join(member))
    })
}

/// Hands `members` of `folder` in the archive that `file` reads to `take`, one after another.
pub(crate) fn each_member(
    file: impl Read + Seek,
    path: &Path,
    folder: &str,
    members: &[&str],
    mut take: impl FnMut(&mut dyn Read, &str) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::Archive { path: path.to_owned(), source };
    let mut archive = ZipArchive::new(file).map_err(failed)?;
    for member in members {
        let name = format!("{folder}{member}");
        let mut entry = archive.by_name(&name).map_err(|source| match source {
            ZipError::FileNotFound => ArchiveError::Missing { path: path.to_owned(), member: name.clone() },
            source => failed(source),
        })?;
        take(&mut entry, member)?;
    }
    Ok(())
}

fn write_member(entry: impl Read, archive: &Path, target: &Path) -> Result<(), ArchiveError> {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let io_error = |source| ArchiveError::Io { path: target.to_owned(), source };
    let mut file = BufWriter::new(File::create(&part).map_err(io_error)?);
    // One byte more than allowed tells a file that is too large from one that just fits. The archive's
    // own checksum is checked when its end is read.
    let copied = io::copy(&mut entry.take(LARGEST_MEMBER + 1), &mut file).map_err(io_error)?;
    if copied > LARGEST_MEMBER {
        let member = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(ArchiveError::TooLarge { path: archive.to_owned(), member, limit: LARGEST_MEMBER });
    }
    file.flush().map_err(io_error)?;
    std::fs::rename(&part, target).map_err(io_error)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn archive(dir: &TempDir) -> PathBuf {
        let path = dir.path().join("gzip.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, content) in [("gzip/a.gz", vec![7; 5000]), ("gzip/b.gz", b"bee".to_vec())] {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(&content).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn takes_out_what_is_wanted_only() {
        let dir = TempDir::new().unwrap();
        let zip = archive(&dir);
        extract(&zip, "gzip/", &["b.gz"], dir.path()).unwrap();
        assert_eq!(std::fs::read(dir.path().join("b.gz")).unwrap(), b"bee");
        assert!(!dir.path().join("a.gz").exists());
        assert!(!dir.path().join("b.gz.part").exists());
    }

    #[test]
    fn names_the_file_that_is_missing() {
        let dir = TempDir::new().unwrap();
        let zip = archive(&dir);
        let error = extract(&zip, "gzip/", &["c.gz"], dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("gzip.zip holds no file called gzip/c.gz"), "{error}");
    }

    #[test]
    fn refuses_a_damaged_archive() {
        let dir = TempDir::new().unwrap();
        let zip = archive(&dir);
        let mut bytes = std::fs::read(&zip).unwrap();
        std::fs::write(&zip, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(extract(&zip, "gzip/", &["a.gz"], dir.path()), Err(ArchiveError::Archive { .. })));
        // A changed byte of the content does not get past the checksum.
        let content = 30 + "gzip/a.gz".len() + 4;
        bytes[content] ^= 1;
        std::fs::write(&zip, &bytes).unwrap();
        assert!(extract(&zip, "gzip/", &["a.gz", "b.gz"], dir.path()).is_err());
    }
}
