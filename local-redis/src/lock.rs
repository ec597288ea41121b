//! One server to a folder.
//!
//! Two locks say who is there. `owner.lock` is held by the process that started the server.
//! `server.lock` is the server's own standard input: the server holds it as long as it lives, so a
//! held lock proves that the process in `redis.pid` is that server and no later one of the same id.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::LocalRedisError;

/// How long a leftover gets to write out its data before it is killed.
const LEFTOVER_GRACE: Duration = Duration::from_secs(10);
/// How long the system may take to end a killed process.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// Both locks on a folder.
pub(crate) struct FolderLock {
    owner: File,
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing alone would leave it held by a child that another thread is just starting.
        let _ = flock(&self.owner, FlockOperation::Unlock);
    }
}

impl FolderLock {
    /// Makes this process the folder's owner, and stops a server that outlived an earlier one.
    pub(crate) fn take(dir: &Path) -> Result<Self, LocalRedisError> {
        let owner = open(&dir.join("owner.lock"))?;
        if !try_lock(&owner, dir)? {
            return Err(LocalRedisError::InUse { dir: dir.to_owned() });
        }
        stop_leftover(dir)?;
        Ok(Self { owner })
    }

    /// The lock to hand to a new server as its standard input.
    pub(crate) fn for_server(&self, dir: &Path) -> Result<File, LocalRedisError> {
        let server = open(&dir.join("server.lock"))?;
        // A child of a killed server that was rewriting the append-only file holds it a moment longer.
        if wait_for(&server, dir, KILL_GRACE)? {
            return Ok(server);
        }
        Err(LocalRedisError::Leftover { dir: dir.to_owned() })
    }
}

fn stop_leftover(dir: &Path) -> Result<(), LocalRedisError> {
    let server = open(&dir.join("server.lock"))?;
    for (signal, grace) in [(Signal::TERM, LEFTOVER_GRACE), (Signal::KILL, KILL_GRACE)] {
        if try_lock(&server, dir)? {
            return Ok(());
        }
        if let Some(pid) = pid_in(&dir.join("redis.pid")) {
            // Gone in between is as good as stopped.
            let _ = kill_process(pid, signal);
        }
        if wait_for(&server, dir, grace)? {
            return Ok(());
        }
    }
    Err(LocalRedisError::Leftover { dir: dir.to_owned() })
}

fn pid_in(path: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(path).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

fn open(path: &Path) -> Result<File, LocalRedisError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|source| LocalRedisError::Folder { path: path.to_owned(), source })
}

fn wait_for(file: &File, dir: &Path, limit: Duration) -> Result<bool, LocalRedisError> {
    let deadline = Instant::now() + limit;
    while !try_lock(file, dir)? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(true)
}

fn try_lock(file: &File, dir: &Path) -> Result<bool, LocalRedisError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(LocalRedisError::Folder { path: dir.to_owned(), source: error.into() }),
    }
}
