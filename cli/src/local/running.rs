//! Which process runs the local platform of a state folder.
//!
//! The record is a file that this process keeps locked: a lock that is held proves that the process in
//! it is the platform's, and no later one of the same id.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// What a running platform says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The process.
    pub(crate) pid: u32,
    /// The gateway's address.
    pub(crate) gateway: String,
    /// The address of Redis.
    pub(crate) store_url: String,
    /// Virtual nodes, each with a Redis of its own.
    #[serde(default)]
    pub(crate) nodes: usize,
}

/// Another process runs the platform of the state folder.
#[derive(Debug, thiserror::Error)]
#[error("a local platform runs already in {}; downpour down stops it", .0.display())]
pub(crate) struct AlreadyRunning(PathBuf);

/// The record's lock, held while the platform runs.
pub(crate) struct Claim {
    file: File,
    path: PathBuf,
}

impl Claim {
    /// Makes this process the one that runs the platform of the state folder `dir`.
    ///
    /// # Errors
    /// Another process runs it, or the file can't be written.
    pub(crate) fn take(dir: &Path) -> Result<Self> {
        let (file, path) = open(dir)?;
        if !try_lock(&file, &path)? {
            return Err(AlreadyRunning(dir.to_owned()).into());
        }
        Ok(Self { file, path })
    }

    /// Says where to reach the platform.
    pub(crate) fn announce(&mut self, running: &Running) -> Result<()> {
        let text = serde_json::to_vec(running)?;
        self.file
            .set_len(0)
            .and_then(|()| self.file.write_all(&text))
            .with_context(|| format!("can't write {}", self.path.display()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Closing alone would leave it locked by a child that is just being started.
        let _ = self.file.set_len(0).and_then(|()| self.file.unlock());
    }
}

/// The platform that runs in the state folder `dir`, if one does and is ready.
pub(crate) fn find(dir: &Path) -> Result<Option<Running>> {
    if !dir.join(FILE).exists() {
        return Ok(None);
    }
    let (file, path) = open(dir)?;
    if locked(file.try_lock_shared(), &path)? {
        return Ok(None);
    }
    let text = std::fs::read(&path).with_context(|| format!("can't read {}", path.display()))?;
    if text.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&text).map(Some).with_context(|| format!("{} is damaged", path.display()))
}

/// Asks the platform of the state folder `dir` to end and waits for that. Returns what ran.
///
/// # Errors
/// It does not end within `limit`.
pub(crate) fn stop(dir: &Path, limit: Duration) -> Result<Option<Running>> {
    let Some(running) = find(dir)? else { return Ok(None) };
    if let Some(pid) = i32::try_from(running.pid).ok().and_then(Pid::from_raw) {
        // Gone in between is as good as stopped.
        let _ = kill_process(pid, Signal::TERM);
    }
    let (file, path) = open(dir)?;
    let deadline = Instant::now() + limit;
    while !try_lock(&file, &path)? {
        if Instant::now() >= deadline {
            bail!("the local platform (process {}) did not end within {} s", running.pid, limit.as_secs());
        }
        std::thread::sleep(POLL);
    }
    Ok(Some(running))
}

/// Says that a platform is in use by a command beside the one that runs it.
pub(crate) struct InUse {
    _users: File,
}

/// The platform that runs in the state folder `dir`, kept running as long as the answer lives. `None`
/// also while it is being stopped.
pub(crate) fn join(dir: &Path) -> Result<Option<(InUse, Running)>> {
    if !dir.join(FILE).exists() {
        return Ok(None);
    }
    let (users, path) = open_file(dir, USERS)?;
    if !locked(users.try_lock_shared(), &path)? {
        return Ok(None);
    }
    Ok(find(dir)?.map(|running| (InUse { _users: users }, running)))
}

/// Waits until no other command uses the platform of the state folder `dir`, and keeps others from
/// beginning to as long as the answer lives.
pub(crate) async fn wait_for_users(dir: &Path) -> Result<File> {
    let (users, path) = open_file(dir, USERS)?;
    while !locked(users.try_lock(), &path)? {
        tokio::time::sleep(POLL).await;
    }
    Ok(users)
}

const FILE: &str = "running.json";
const USERS: &str = "users.lock";
const POLL: Duration = Duration::from_millis(20);

fn open(dir: &Path) -> Result<(File, PathBuf)> {
    open_file(dir, FILE)
}

fn open_file(dir: &Path, name: &str) -> Result<(File, PathBuf)> {
    let path = dir.join(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        // The address of Redis may have a password in it.
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("can't open {}", path.display()))?;
    Ok((file, path))
}

fn try_lock(file: &File, path: &Path) -> Result<bool> {
    locked(file.try_lock(), path)
}

fn locked(attempt: Result<(), TryLockError>, path: &Path) -> Result<bool> {
    match attempt {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("can't lock {}", path.display()))
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn running() -> Running {
        Running { pid: 1, gateway: "http://g".to_owned(), store_url: "redis://r".to_owned(), nodes: 0 }
    }

    #[test]
    fn a_platform_is_found_while_it_is_claimed_and_ready() {
        let dir = TempDir::new().unwrap();
        assert_eq!(find(dir.path()).unwrap(), None);
        let mut claim = Claim::take(dir.path()).unwrap();
        assert_eq!(find(dir.path()).unwrap(), None);
        let running = running();
        claim.announce(&running).unwrap();
        assert_eq!(find(dir.path()).unwrap(), Some(running));
        assert!(Claim::take(dir.path()).is_err());
        drop(claim);
        assert_eq!(find(dir.path()).unwrap(), None);
        assert_eq!(stop(dir.path(), Duration::ZERO).unwrap(), None);
    }

    #[test]
    fn a_platform_that_is_used_is_not_stopped_under_its_users() {
        let dir = TempDir::new().unwrap();
        assert!(join(dir.path()).unwrap().is_none());
        let mut claim = Claim::take(dir.path()).unwrap();
        let running = running();
        claim.announce(&running).unwrap();
        let (in_use, found) = join(dir.path()).unwrap().unwrap();
        assert_eq!(found, running);
        let (users, path) = open_file(dir.path(), USERS).unwrap();
        assert!(!locked(users.try_lock(), &path).unwrap());
        drop(in_use);
        assert!(locked(users.try_lock(), &path).unwrap());
        assert!(join(dir.path()).unwrap().is_none());
    }

    #[test]
    fn what_a_killed_process_left_is_no_platform() {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join(FILE), r#"{"pid":1,"gateway":"g","store_url":"r"}"#).unwrap();
        assert_eq!(find(dir.path()).unwrap(), None);
        Claim::take(dir.path()).unwrap();
    }
}
