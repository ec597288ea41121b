//! A command that goes on while the scenario does.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::place::{Finished, json_lines};

/// A running command; killed when it is dropped.
#[derive(Debug)]
pub struct Background {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Background {
    /// Starts it; its output goes to files in `folder`, so that it never waits for a reader.
    pub(crate) fn spawn(mut command: Command, folder: &Path) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| folder.join(format!("command-{number}.{kind}"));
        let (stdout, stderr) = (file("out"), file("err"));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).expect("create a file"))
            .stderr(File::create(&stderr).expect("create a file"))
            .spawn()
            .expect("downpour starts");
        Self { child, stdout, stderr }
    }

    /// What it has printed so far, one JSON value a line.
    pub fn lines(&self) -> Vec<Value> {
        json_lines(&fs::read_to_string(&self.stdout).unwrap_or_default())
    }

    /// What it has said beside that.
    pub fn messages(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_some()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        // Fails only for a process that has ended already.
        let _ = kill_process(pid, signal);
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> Finished {
        let status = self.child.wait().expect("a child of ours");
        let stdout = fs::read_to_string(&self.stdout).unwrap_or_default();
        Finished { code: status.code(), stdout, stderr: self.messages() }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
