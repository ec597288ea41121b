//! A local platform of the benchmark's own, to train on.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::context::Context;

/// Starting must not take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway, its Redis and its functions, until it is dropped.
pub(crate) struct Platform {
    downpour: PathBuf,
    data: PathBuf,
    state: TempDir,
    up: Child,
}

impl Platform {
    /// Starts one with these further flags of `downpour up`.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start(context: &Context, flags: &[&str]) -> Result<Self> {
        let state = TempDir::new().context("making a folder for the platform's state")?;
        let log = std::fs::File::create(state.path().join("up.log")).context("making up.log")?;
        let up = Command::new(&context.downpour)
            .args(["up", "--port", "0"])
            .args(flags)
            .env("DOWNPOUR_STATE", state.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("sharing up.log")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", context.downpour.display()))?;
        let (downpour, data) = (context.downpour.clone(), context.data.clone());
        let mut platform = Self { downpour, data, state, up };
        platform.await_start()?;
        Ok(platform)
    }

    fn await_start(&mut self) -> Result<()> {
        let (file, begun) = (self.state.path().join("running.json"), Instant::now());
        while !file.is_file() {
            let ended = self.up.try_wait().context("looking after the platform")?.is_some();
            if ended || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.state.path().join("up.log")).unwrap_or_default();
                bail!("the platform does not start: {}", log.trim_end());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Trains with these flags of `downpour train`, and returns the last event, which is the run's report.
    ///
    /// # Errors
    /// The run fails.
    pub(crate) fn train<F: AsRef<OsStr>>(&self, flags: impl IntoIterator<Item = F>) -> Result<Value> {
        let output = self
            .command("train")
            .arg("--data-dir")
            .arg(&self.data)
            .args(flags)
            .output()
            .context("starting downpour train")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().next_back().unwrap_or_default();
        if !output.status.success() {
            bail!("downpour train failed: {last} {}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        serde_json::from_str(last).with_context(|| format!("downpour train ends with {last:?}"))
    }

    /// A command of `downpour` on this platform, which answers in JSON.
    pub(crate) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.downpour);
        command.args([name, "--json"]).env("DOWNPOUR_STATE", self.state.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        // Where it can't be ended in good order it has ended already.
        let _ = self.command("down").stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = self.up.wait();
    }
}
