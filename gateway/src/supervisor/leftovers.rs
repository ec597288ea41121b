//! Replicas of an earlier gateway on the same folder, which was killed. The end of their stdin told them to end, but
//! they may be finishing calls yet: what they are at must not begin a second time before they have ended.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::time::{Instant, sleep};

use crate::specification::parse_duration;

/// Between two looks whether they have ended.
const INTERVAL: Duration = Duration::from_millis(10);

/// What an earlier gateway left.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    processes: Vec<Process>,
    /// The replicas' folders.
    folders: Vec<PathBuf>,
}

#[derive(Debug)]
struct Process {
    /// Stands for this process even if another one gets its number.
    handle: OwnedFd,
    /// How long it may take to end.
    grace: Duration,
}

impl Leftovers {
    /// What is left of replicas whose folders are in `replicas`.
    pub(super) fn find(replicas: &Path, grace: Duration) -> io::Result<Self> {
        let entries = |path: &Path| fs::read_dir(path)?.collect::<io::Result<Vec<_>>>();
        let folders = entries(replicas)?.into_iter().map(|entry| entry.path()).collect();
        let ids = entries(Path::new("/proc"))?.into_iter();
        let ids = ids.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
        let processes = ids.filter_map(|id| Process::find(id, replicas, grace)).collect::<Vec<_>>();
        if !processes.is_empty() {
            tracing::warn!(processes = processes.len(), "replicas of an earlier gateway are ending");
        }
        Ok(Self { processes, folders })
    }

    /// Waits until all have ended, each for its grace period; those that have not then are killed. Then nothing of them
    /// is left.
    pub(crate) async fn ended(self) {
        let since = Instant::now();
        for process in &self.processes {
            while !process.has_ended() {
                if since.elapsed() > process.grace {
                    let _ = pidfd_send_signal(&process.handle, Signal::KILL);
                }
                sleep(INTERVAL).await;
            }
        }
        for folder in &self.folders {
            if let Err(error) = fs::remove_dir_all(folder) {
                tracing::warn!(folder = %folder.display(), %error, "cannot remove a replica's folder");
            }
        }
    }
}

impl Process {
    /// The process, if its environment says that it is such a replica.
    fn find(id: Pid, replicas: &Path, grace: Duration) -> Option<Self> {
        // First, so that it is this process whose environment is read.
        let handle = pidfd_open(id, PidfdFlags::empty()).ok()?;
        let environment = fs::read(format!("/proc/{}/environ", id.as_raw_nonzero())).ok()?;
        let variable = |name: &str| {
            let lines = environment.split(|byte| *byte == 0);
            lines.filter_map(|line| line.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).next()
        };
        let secrets = Path::new(OsStr::from_bytes(variable("secret_mount_path")?));
        let own = variable("write_timeout").and_then(|text| parse_duration(std::str::from_utf8(text).ok()?));
        secrets.starts_with(replicas).then(|| Self { handle, grace: own.unwrap_or(grace) })
    }

    fn has_ended(&self) -> bool {
        let mut waiting = [PollFd::new(&self.handle, PollFlags::IN)];
        poll(&mut waiting, Some(&Timespec::default())).is_ok_and(|ended| ended > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn replicas_of_this_folder_are_found_and_waited_for_and_then_killed() {
        let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let start = |folder: &Path, write_timeout: &str| {
            let mut command = Command::new("cat");
            command.stdin(Stdio::piped()).env("write_timeout", write_timeout);
            command.env("secret_mount_path", folder.join("fn-a-b/secrets")).spawn().unwrap()
        };
        fs::create_dir(ours.path().join("fn-a-b")).unwrap();
        let mut willing = start(ours.path(), "1h");
        let mut deaf = start(ours.path(), "20ms");
        let mut foreign = start(others.path(), "0s");
        let hour = Duration::from_secs(3600);
        // A process has its environment once it runs its own program.
        let left = loop {
            let left = Leftovers::find(ours.path(), hour).unwrap();
            if left.processes.len() == 2 {
                break left;
            }
        };
        drop(willing.stdin.take());
        left.ended().await;
        assert!(willing.wait().unwrap().success());
        assert!(!deaf.wait().unwrap().success());
        assert!(foreign.try_wait().unwrap().is_none());
        assert_eq!(fs::read_dir(ours.path()).unwrap().count(), 0);
        drop(foreign.stdin.take());
        assert!(foreign.wait().unwrap().success());
    }
}
