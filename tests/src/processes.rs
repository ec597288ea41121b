//! What runs in a place.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

/// A process as it was found.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its id.
    pub id: i32,
    /// The file name of its program.
    pub program: String,
    /// Its environment, `NAME=VALUE` each.
    pub environment: Vec<String>,
}

/// Every process whose command line, folder or environment names `folder`.
pub(crate) fn of(folder: &Path) -> Vec<Process> {
    let folder = folder.to_str().expect("a folder's name in UTF-8");
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter_map(|id| Process::read(id, folder)).collect()
}

impl Process {
    fn read(id: i32, folder: &str) -> Option<Self> {
        // One that has ended in between, or is another user's, is none of ours.
        let text = |name: &str| {
            fs::read(format!("/proc/{id}/{name}")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let link = |name: &str| {
            fs::read_link(format!("/proc/{id}/{name}")).map(|path| path.to_string_lossy().into_owned())
        };
        let environment = text("environ").ok()?;
        let named = |text: String| text.contains(folder);
        let ours =
            environment.contains(folder) || text("cmdline").is_ok_and(named) || link("cwd").is_ok_and(named);
        let program = link("exe").ok()?.rsplit('/').next().unwrap_or_default().to_owned();
        let environment = environment.split('\0').map(str::to_owned).collect();
        ours.then_some(Self { id, program, environment })
    }

    /// Whether it is the replica of this name.
    pub fn is_pod(&self, pod: &str) -> bool {
        self.environment.iter().any(|variable| variable.strip_prefix("HOSTNAME=") == Some(pod))
    }

    /// Whether that is its working folder.
    pub fn works_in(&self, folder: &Path) -> bool {
        fs::read_link(format!("/proc/{}/cwd", self.id)).is_ok_and(|found| found == folder)
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id).expect("a process id");
        let _ = kill_process(pid, signal);
    }

    /// Bytes of memory that are its own: no file, no other process has them. `None` once it has ended.
    pub fn private_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kilobytes * 1024)
    }
}
