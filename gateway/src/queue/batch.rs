//! Invocations that were queued at the same time, in one file: a line of JSON each. A line whose first byte was
//! overwritten by [`DONE`] is done; the file goes with the last one. So what is done costs neither a flush nor a file
//! of its own, and a file that was only half written is never seen, since it has not got its name yet.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::invocation::Invocation;
use crate::error::StorageError;
use crate::storage;

/// What the first byte of a line becomes, a brace before.
const DONE: u8 = b'-';

/// A file of invocations.
#[derive(Debug)]
struct Batch {
    path: PathBuf,
    /// How many of them are not done.
    waiting: AtomicUsize,
}

/// Where an invocation is kept.
#[derive(Clone, Debug)]
pub(super) struct Record {
    batch: Arc<Batch>,
    offset: u64,
    length: usize,
}

/// Keeps these lines, each without its end; they are durable when this returns.
pub(super) fn write(path: PathBuf, lines: &[Vec<u8>]) -> Result<Vec<Record>, StorageError> {
    let mut bytes = lines.join(&b'\n');
    bytes.push(b'\n');
    storage::write(&path, &bytes).inspect_err(|_| {
        // It may have got its name already: what is refused must not be called after a restart.
        let _ = fs::remove_file(&path);
    })?;
    Ok(records(path, &bytes).map(|(record, _)| record).collect())
}

/// What is not done in a file that an earlier gateway left; a file without such is removed, and what is damaged is set
/// aside.
pub(super) fn read(path: &Path) -> Result<Vec<(Record, Invocation)>, StorageError> {
    let bytes = fs::read(path).map_err(StorageError::io("read", path))?;
    let mut found = Vec::new();
    for (record, line) in records(path.to_owned(), &bytes) {
        match parse(path, line) {
            Ok(invocation) => found.push((record, invocation)),
            Err(error) => record.set_aside(line, &error),
        }
    }
    if found.is_empty() {
        storage::remove(path)?;
    }
    Ok(found)
}

/// The lines of a file that are not done.
fn records(path: PathBuf, bytes: &[u8]) -> impl Iterator<Item = (Record, &[u8])> {
    let mut offset = 0;
    let mut lines = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.trim_ascii_end();
        if !text.is_empty() && text[0] != DONE {
            lines.push((offset, text));
        }
        offset += line.len() as u64;
    }
    let batch = Arc::new(Batch { path, waiting: AtomicUsize::new(lines.len()) });
    lines
        .into_iter()
        .map(move |(offset, line)| (Record { batch: batch.clone(), offset, length: line.len() }, line))
}

fn parse(path: &Path, line: &[u8]) -> Result<Invocation, StorageError> {
    serde_json::from_slice(line).map_err(|source| StorageError::Damaged { path: path.to_owned(), source })
}

impl Record {
    /// Whether both are the same invocation.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.batch, &other.batch) && self.offset == other.offset
    }

    /// Reads it. Not for an asynchronous task.
    pub(super) fn load(&self) -> Result<Invocation, StorageError> {
        let path = &self.batch.path;
        let mut line = vec![0; self.length];
        File::open(path)
            .and_then(|file| file.read_exact_at(&mut line, self.offset))
            .map_err(StorageError::io("read", path))?;
        parse(path, &line).inspect_err(|error| self.set_aside(&line, error))
    }

    /// Notes that it is done. With `durable` it is so for whoever pulls the plug, too. Once for each record.
    pub(super) fn done(&self, durable: bool) -> Result<(), StorageError> {
        let path = &self.batch.path;
        if self.batch.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            storage::remove(path)?;
            return if durable { storage::sync_folder_of(path) } else { Ok(()) };
        }
        let mark = || {
            let file = OpenOptions::new().write(true).open(path)?;
            file.write_all_at(&[DONE], self.offset)?;
            if durable { file.sync_data() } else { Ok(()) }
        };
        mark().map_err(StorageError::io("write", path))
    }

    /// Copies a line that cannot be read to a file of its own, so that it is not lost.
    fn set_aside(&self, line: &[u8], error: &StorageError) {
        let kept = self.batch.path.with_extension(format!("{}.damaged", self.offset));
        let copied = storage::write(&kept, line);
        tracing::error!(%error, kept = %kept.display(), copied = copied.is_ok(), "a queued invocation cannot be read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(names: &[&str]) -> Vec<Vec<u8>> {
        let json = |name: &&str| serde_json::to_vec(&Invocation::scheduled(name, "id")).unwrap();
        names.iter().map(json).collect()
    }

    fn left(path: &Path) -> Vec<String> {
        read(path).unwrap().into_iter().map(|(_, invocation)| invocation.function).collect()
    }

    #[test]
    fn what_is_not_done_is_there_after_a_restart_and_the_file_goes_with_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let records = write(path.clone(), &lines(&["a", "b", "c"])).unwrap();
        assert_eq!(records[1].load().unwrap().function, "b");
        records[1].done(false).unwrap();
        assert_eq!(left(&path), ["a", "c"]);
        records[0].done(true).unwrap();
        assert_eq!(left(&path), ["c"]);
        records[2].done(true).unwrap();
        assert!(!path.exists());
        assert!(records[0].is(&records[0].clone()) && !records[0].is(&records[1]));
    }

    #[test]
    fn a_damaged_line_is_set_aside_and_the_others_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let mut all = lines(&["a", "b"]);
        all[0].truncate(20);
        let records = write(path.clone(), &all).unwrap();
        assert!(matches!(records[0].load(), Err(StorageError::Damaged { .. })));
        assert_eq!(left(&path), ["b"]);
        assert_eq!(fs::read(folder.path().join("a.0.damaged")).unwrap(), all[0]);
    }

    #[test]
    fn a_file_in_which_all_is_done_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        fs::write(&path, "-\"function\":\"a\"}\n\n").unwrap();
        assert_eq!(left(&path), [""; 0]);
        assert!(!path.exists());
    }
}
