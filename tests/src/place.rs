//! Commands in a folder of their own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use safetensors::SafeTensors;
use serde_json::Value;
use tempfile::TempDir;

use crate::background::Background;
use crate::binaries::binary;
use crate::processes::{self, Process};

/// What the stack file and commands take from the environment: a scenario says it itself.
const VARIABLES: [&str; 17] = [
    "DATABASE",
    "DATASET",
    "DATASET_SOURCE",
    "DATA_DIR",
    "GATEWAY_HOSTNAME",
    "GATEWAY_SECRET",
    "LOCAL_STORE_URL",
    "REGISTRY",
    "STORE_CA_SECRET",
    "STORE_SECRET",
    "STORE_URL",
    "TAG",
    "OPENFAAS_URL",
    "ROUNDS",
    "store_url",
    "store_ca_secret",
    "store_password_secret",
];

/// Where programs put temporary files.
pub const TEMPORARY: &str = "tmp";

/// A temporary folder with a state folder in it. Dropping it checks that nothing is left that ran there.
#[derive(Debug)]
pub struct Place {
    dir: TempDir,
    talkative: bool,
}

impl Place {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        for program in ["emnist-setup", "emnist-train", "emnist-single"] {
            binary(program);
        }
        let dir = TempDir::with_prefix("downpour-scenario-").expect("a temporary folder");
        fs::create_dir(dir.path().join(TEMPORARY)).expect("create a folder");
        Self { dir, talkative: false }
    }

    /// The same, where programs say all that they can say.
    #[must_use]
    pub fn talkative(mut self) -> Self {
        self.talkative = true;
        self
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file in it, and the folders above that.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("create a folder");
        fs::write(&path, content).expect("write a file");
        path
    }

    /// `downpour` with these arguments, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary("downpour"));
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.args(args).current_dir(self.dir.path()).env("DOWNPOUR_STATE", self.path("state"));
        command.env("TMPDIR", self.path(TEMPORARY));
        if self.talkative {
            command.env("RUST_LOG", "trace");
        }
        command
    }

    /// Runs `downpour` with these arguments to its end.
    pub fn downpour(&self, args: &[&str]) -> Finished {
        Finished::new(&self.command(args).output().expect("downpour starts"))
    }

    /// Starts `downpour` with these arguments.
    pub fn background(&self, args: &[&str]) -> Background {
        Background::spawn(self.command(args), self.dir.path())
    }

    /// What `downpour` with these arguments and `--json` prints, all of which must go well.
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.downpour(&[args, &["--json"]].concat()).succeeded();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Trains with these flags; what the last line of `train --json` says.
    pub fn train(&self, flags: &[&str]) -> Value {
        let finished = self.downpour(&[&["train", "--json"], flags].concat());
        let last = finished.lines().pop().unwrap_or_default();
        finished.succeeded();
        assert_eq!(last["event"], "finished", "{last}");
        last
    }

    /// The tensors of a finished run as `downpour export` writes them: name, shape, bytes.
    pub fn exported(&self, run: &str) -> Vec<(String, Vec<usize>, Vec<u8>)> {
        let files = self.json(&["export", "--run", run]);
        let file = files["parameters"].as_str().expect("a file's name");
        let bytes = fs::read(self.path(file)).expect("the exported file");
        let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
        let mut all: Vec<_> = tensors
            .iter()
            .map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec(), tensor.data().to_vec()))
            .collect();
        all.sort();
        all
    }

    /// Leaves the folder where it is, for somebody to look at; its path.
    pub fn keep(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        self.dir.path().to_owned()
    }

    /// Every process that has to do with this folder.
    pub fn processes(&self) -> Vec<Process> {
        processes::of(self.dir.path())
    }

    /// Waits until nothing runs in it any more; returns what still does after longer than functions look for a Redis
    /// that is gone.
    pub fn await_silence(&self) -> Vec<Process> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = self.processes();
            if left.is_empty() || Instant::now() > deadline {
                return left;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// No scenario may leave a process behind, however it ended what it started.
impl Drop for Place {
    fn drop(&mut self) {
        let left = self.await_silence();
        for process in &left {
            process.signal(Signal::KILL);
        }
        assert!(left.is_empty() || thread::panicking(), "left behind: {left:#?}");
    }
}

/// A command that ran to its end.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Its exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said beside that.
    pub stderr: String,
}

impl Finished {
    pub(crate) fn new(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// What a command printed that must have gone well.
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// What a command said that must have failed with `code`.
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self.stderr
    }

    /// What it printed, one JSON value a line.
    pub fn lines(&self) -> Vec<Value> {
        json_lines(&self.stdout)
    }
}

/// Whole lines that are JSON values.
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
