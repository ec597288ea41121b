//! Runs the real `downpour` with a state folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A place to run commands in.
pub(crate) struct TestEnv {
    dir: TempDir,
}

impl TestEnv {
    /// An empty folder, which is also the state folder's parent.
    pub(crate) fn new() -> Self {
        Self { dir: TempDir::new().unwrap() }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Runs `downpour` with these arguments to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        let output = Command::new(env!("CARGO_BIN_EXE_downpour"))
            .args(args)
            .current_dir(self.dir.path())
            .env("DOWNPOUR_STATE", self.state())
            .output()
            .unwrap();
        Finished::new(&output)
    }

    /// The state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }
}

/// A command that ran to its end.
pub(crate) struct Finished {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// What it printed.
    pub(crate) stdout: String,
    /// What it said beside that.
    pub(crate) stderr: String,
}

impl Finished {
    fn new(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        }
    }

    /// The standard output of a command that must have succeeded.
    pub(crate) fn succeeded(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// The message of a command that must have failed with this code.
    pub(crate) fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self.stderr
    }
}

/// An IDX file of unsigned bytes.
pub(crate) fn idx(dimensions: &[u32], content: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, u8::try_from(dimensions.len()).unwrap()];
    file.extend(dimensions.iter().flat_map(|size| size.to_be_bytes()));
    file.extend(content);
    file
}

/// Writes a data set of three training images and one test image, 2 × 2 pixels, 3 classes.
pub(crate) fn write_dataset(env: &TestEnv, folder: &str) -> PathBuf {
    let images = |count: u8| idx(&[u32::from(count), 2, 2], &(0..4 * count).collect::<Vec<_>>());
    env.write(&format!("{folder}/train-images-idx3-ubyte"), &images(3));
    env.write(&format!("{folder}/train-labels-idx1-ubyte"), &idx(&[3], &[0, 1, 2]));
    env.write(&format!("{folder}/t10k-images-idx3-ubyte"), &images(1));
    let last = env.write(&format!("{folder}/t10k-labels-idx1-ubyte"), &idx(&[1], &[2]));
    last.parent().map(Path::to_owned).unwrap()
}
