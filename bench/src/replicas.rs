//! The processes that a platform's functions run in.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};

/// A replica: a process.
pub(crate) struct Replica {
    process: u32,
    /// Where it listens, as HOST:PORT: only its environment tells.
    pub(crate) authority: String,
    /// What the platform calls it.
    pub(crate) pod: String,
}

impl Replica {
    /// The replicas of `function` on the platform whose state is in `state`.
    ///
    /// # Errors
    /// The list of processes can't be read.
    pub(crate) fn of(function: &str, state: &Path) -> Result<Vec<Self>> {
        let processes = fs::read_dir("/proc").context("listing processes")?.flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(ids.filter_map(|process| Self::find(process, function, state)).collect())
    }

    /// The process, if it is one of these; any may end meanwhile.
    fn find(process: u32, function: &str, state: &Path) -> Option<Self> {
        let environment = fs::read(format!("/proc/{process}/environ")).ok()?;
        let environment = String::from_utf8_lossy(&environment);
        let variables: HashMap<_, _> =
            environment.split('\0').filter_map(|line| line.split_once('=')).collect();
        let ours = variables.values().any(|value| Path::new(value).starts_with(state));
        let ours = ours && variables.get("OPENFAAS_NAME") == Some(&function);
        let port = variables.get("port").filter(|_| ours)?;
        let pod = (*variables.get("HOSTNAME")?).to_owned();
        Some(Self { process, authority: format!("127.0.0.1:{port}"), pod })
    }

    /// Kills it, as a crash would.
    ///
    /// # Errors
    /// It has ended already.
    pub(crate) fn kill(&self) -> Result<()> {
        let process = i32::try_from(self.process).ok().and_then(Pid::from_raw);
        kill_process(process.context("a process without an id")?, Signal::KILL).context("killing a replica")
    }

    /// Page faults so far for which nothing was read; 0 once it has ended.
    pub(crate) fn minor_faults(&self) -> u64 {
        let line = fs::read_to_string(format!("/proc/{}/stat", self.process)).unwrap_or_default();
        // The name, in brackets, may have blanks: the tenth field of all is the eighth after it.
        let fields = line.rsplit_once(") ").map_or("", |(_, fields)| fields);
        fields.split(' ').nth(7).and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted() {
        let replica = |process| Replica { process, authority: String::new(), pod: String::new() };
        let own = replica(std::process::id());
        let before = own.minor_faults();
        // Few where the pages are huge ones.
        let pages = std::hint::black_box(vec![1_u8; 16 << 20]);
        assert!(own.minor_faults() > before, "{} bytes", pages.len());
        assert_eq!(replica(u32::MAX).minor_faults(), 0);
    }
}
