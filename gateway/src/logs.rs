//! What replicas write to stdout and stderr: kept per function in two files of bounded size, and passed on live.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use openfaas::types::{DEFAULT_NAMESPACE, LogMessage};
use tokio::io::AsyncRead;
use tokio::sync::broadcast;

use crate::error::StorageError;
use crate::lines::Lines;
use crate::storage;

/// Bytes after which a file is set aside; the one set aside before it is dropped.
const FILE_LIMIT: u64 = 4 << 20;
/// Bytes after which a line is cut in two, as of-watchdog does.
const LINE_LIMIT: usize = 64 << 10;
/// Lines that a slow follower may be behind before it misses some.
const FOLLOW_BUFFER: usize = 1024;

/// Which lines are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Of this replica only.
    pub(crate) instance: Option<String>,
    /// Written at or after this time.
    pub(crate) since: Option<SystemTime>,
    /// The last so many; all if `None`.
    pub(crate) tail: Option<usize>,
}

impl Selection {
    pub(crate) fn wants(&self, message: &LogMessage) -> bool {
        self.instance.as_ref().is_none_or(|instance| *instance == message.instance)
            && self.since.is_none_or(|since| {
                humantime::parse_rfc3339(&message.timestamp).is_ok_and(|written| written >= since)
            })
    }
}

/// The logs of all functions.
#[derive(Debug)]
pub(crate) struct Logs {
    folder: PathBuf,
    functions: Mutex<HashMap<String, Arc<FunctionLog>>>,
}

impl Logs {
    pub(crate) fn open(state_dir: &Path) -> Result<Self, StorageError> {
        let folder = state_dir.join("logs");
        storage::create_folder(&folder)?;
        Ok(Self { folder, functions: Mutex::default() })
    }

    /// The log of the function `name`, opened at its first use.
    pub(crate) fn of(&self, name: &str) -> Result<Arc<FunctionLog>, StorageError> {
        let mut functions = lock(&self.functions);
        if let Some(log) = functions.get(name) {
            return Ok(log.clone());
        }
        let log = Arc::new(FunctionLog::open(&self.folder, name)?);
        functions.insert(name.to_owned(), log.clone());
        Ok(log)
    }

    /// Forgets a function's lines; followers come to the end when its last replica has ended.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StorageError> {
        if let Some(log) = lock(&self.functions).remove(name) {
            lock(&log.writer).closed = true;
        }
        let path = path_of(&self.folder, name);
        storage::remove(&path)?;
        storage::remove(&set_aside(&path))
    }
}

fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.ndjson"))
}

fn set_aside(path: &Path) -> PathBuf {
    path.with_extension("1.ndjson")
}

/// The log of one function.
#[derive(Debug)]
pub(crate) struct FunctionLog {
    name: String,
    path: PathBuf,
    writer: Mutex<Writer>,
    live: broadcast::Sender<Arc<LogMessage>>,
}

#[derive(Debug)]
struct Writer {
    file: File,
    length: u64,
    /// Lines that could not be written since the last that was.
    lost: u64,
    /// The function was removed: what its last replicas still write must not get into a successor's files.
    closed: bool,
}

impl Writer {
    fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)?;
        let length = file.metadata()?.len();
        if length > 0 {
            // A crash may have cut the last line: whatever follows starts a new one.
            file.write_all(b"\n")?;
        }
        Ok(Self { file, length: length + u64::from(length > 0), lost: 0, closed: false })
    }

    fn append(&mut self, path: &Path, line: &[u8]) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        if self.length > FILE_LIMIT {
            self.rotate(path)?;
        }
        if self.lost > 0 {
            // A part of the first lost line may be there.
            self.file.write_all(b"\n")?;
        }
        self.file.write_all(line)?;
        self.length += line.len() as u64;
        Ok(())
    }

    fn rotate(&mut self, path: &Path) -> io::Result<()> {
        match std::fs::rename(path, set_aside(path)) {
            // It was set aside before, and the disk had no room for another one.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        *self = Self { lost: self.lost, ..Self::open(path)? };
        Ok(())
    }

    /// [`Writer::append`], or else a line is lost; what begins and ends losing lines is told, not each of them.
    fn append_or_lose(&mut self, path: &Path, line: &[u8]) {
        match self.append(path, line) {
            Ok(()) if self.lost > 0 => {
                tracing::warn!(path = %path.display(), lines = self.lost, "lines of a function's log were lost");
                self.lost = 0;
            }
            Ok(()) => {}
            Err(error) => {
                if self.lost == 0 {
                    tracing::error!(path = %path.display(), %error, "cannot write a function's log");
                }
                self.lost += 1;
            }
        }
    }
}

impl FunctionLog {
    fn open(folder: &Path, name: &str) -> Result<Self, StorageError> {
        let path = path_of(folder, name);
        let writer = Writer::open(&path).map_err(StorageError::io("open", &path))?;
        let (live, _) = broadcast::channel(FOLLOW_BUFFER);
        Ok(Self { name: name.to_owned(), path, writer: Mutex::new(writer), live })
    }

    /// Adds one line that `instance` wrote.
    pub(crate) fn append(&self, instance: &str, text: &str) {
        let message = LogMessage {
            name: self.name.clone(),
            namespace: DEFAULT_NAMESPACE.to_owned(),
            instance: instance.to_owned(),
            timestamp: humantime::format_rfc3339_nanos(SystemTime::now()).to_string(),
            text: text.to_owned(),
        };
        let line = as_line(&message);
        let mut writer = lock(&self.writer);
        writer.append_or_lose(&self.path, &line);
        // Sent under the lock, so that a follower sees each line once: in the files or live.
        let _ = self.live.send(Arc::new(message));
    }

    /// The lines so far, and those to come. Reads files: not for an asynchronous task.
    pub(crate) fn read(
        &self,
        selection: &Selection,
    ) -> io::Result<(VecDeque<LogMessage>, broadcast::Receiver<Arc<LogMessage>>)> {
        let (older, current, length, live) = {
            let writer = lock(&self.writer);
            let older = File::open(set_aside(&self.path)).ok();
            (older, File::open(&self.path)?, writer.length, self.live.subscribe())
        };
        let mut lines = VecDeque::new();
        let older = older.map(|file| file.take(u64::MAX));
        for file in older.into_iter().chain([current.take(length)]) {
            for line in BufReader::new(file).split(b'\n') {
                let Ok(message) = serde_json::from_slice::<LogMessage>(&line?) else { continue };
                if selection.wants(&message) {
                    lines.push_back(message);
                }
                if selection.tail.is_some_and(|tail| lines.len() > tail) {
                    lines.pop_front();
                }
            }
        }
        Ok((lines, live))
    }

    /// Takes down what `instance` writes to `stream` until that ends.
    pub(crate) async fn capture(self: Arc<Self>, instance: String, stream: impl AsyncRead + Unpin) {
        let mut lines = Lines::new(stream, LINE_LIMIT);
        while let Some(line) = lines.next().await {
            self.append(&instance, &line);
        }
    }
}

/// One line of newline-delimited JSON.
pub(crate) fn as_line(message: &LogMessage) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

/// RFC 3339 with any offset from UTC.
pub(crate) fn parse_time(text: &str) -> Option<SystemTime> {
    let split = text.len().checked_sub(6).filter(|at| text.is_char_boundary(*at));
    let (time, offset) = split.map_or((text, ""), |at| text.split_at(at));
    let sign = match offset.as_bytes() {
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => *sign,
        _ => return humantime::parse_rfc3339(text).ok(),
    };
    let number = |range| offset.get(range).and_then(|digits: &str| digits.parse::<u64>().ok());
    let offset = Duration::from_secs(60 * (60 * number(1..3)? + number(4..6)?));
    let local = humantime::parse_rfc3339(&format!("{time}Z")).ok()?;
    if sign == b'+' { local.checked_sub(offset) } else { local.checked_add(offset) }
}

/// A panic under one of these locks leaves nothing half-done, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(log: &FunctionLog, selection: &Selection) -> Vec<String> {
        log.read(selection).unwrap().0.into_iter().map(|message| message.text).collect()
    }

    #[tokio::test]
    async fn lines_are_kept_selected_and_followed() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::open(folder.path()).unwrap();
        let log = logs.of("fn").unwrap();
        log.clone().capture("a".into(), &b"one\r\ntwo\nunfinished"[..]).await;
        let (_, mut live) = log.read(&Selection::default()).unwrap();
        log.append("b", "four");
        assert_eq!(live.recv().await.unwrap().text, "four");
        assert_eq!(texts(&log, &Selection::default()), ["one", "two", "unfinished", "four"]);
        assert_eq!(texts(&log, &Selection { tail: Some(2), ..Selection::default() }), ["unfinished", "four"]);
        let of_b = Selection { instance: Some("b".into()), ..Selection::default() };
        assert_eq!(texts(&log, &of_b), ["four"]);
        let later = Selection {
            since: Some(SystemTime::now() + std::time::Duration::from_secs(9)),
            ..Selection::default()
        };
        assert!(texts(&log, &later).is_empty());
    }

    #[test]
    fn times_have_offsets() {
        let utc = parse_time("2030-01-31T10:00:00Z").unwrap();
        assert_eq!(parse_time("2030-01-31T12:30:00+02:30").unwrap(), utc);
        assert_eq!(parse_time("2030-01-31T09:00:00.000-01:00").unwrap(), utc);
        for wrong in ["", "yesterday", "2030-01-31T10:00:00", "2030-01-31T10:00:00+xx:00", "ää:00", "+01:00"]
        {
            assert!(parse_time(wrong).is_none(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn lines_survive_a_restart_and_a_torn_one_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        Logs::open(folder.path()).unwrap().of("fn").unwrap().append("a", "before");
        let path = path_of(&folder.path().join("logs"), "fn");
        OpenOptions::new().append(true).open(path).unwrap().write_all(b"{\"name\":\"f").unwrap();
        let log = Logs::open(folder.path()).unwrap().of("fn").unwrap();
        log.append("a", "after");
        assert_eq!(texts(&log, &Selection::default()), ["before", "after"]);
    }

    #[tokio::test]
    async fn files_and_lines_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let log = Logs::open(folder.path()).unwrap().of("fn").unwrap();
        let flood = vec![b'x'; 3 * FILE_LIMIT as usize];
        log.clone().capture("a".into(), &flood[..]).await;
        log.append("a", "last");
        let lines = texts(&log, &Selection::default());
        assert_eq!(lines.last().unwrap(), "last");
        assert!(lines.iter().all(|line| line.len() <= 2 * LINE_LIMIT));
        let kept: usize = lines.iter().map(String::len).sum();
        assert!(kept as u64 <= 2 * FILE_LIMIT + 4 * LINE_LIMIT as u64, "{kept}");
    }
}
