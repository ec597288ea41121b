//! A local platform of the benchmark's own, to train on.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::context::Context;
use crate::http;
use crate::memory::mebibytes;
use crate::replicas::Replica;

/// Starting must not take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway, its Redis and its functions, until it is dropped.
pub(crate) struct Platform {
    downpour: PathBuf,
    data: PathBuf,
    state: TempDir,
    up: Child,
    /// What it says about itself: where its parts are.
    running: Value,
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
        let mut platform = Self { downpour, data, state, up, running: Value::Null };
        platform.await_start()?;
        Ok(platform)
    }

    /// The file is there from the beginning; what it says, only once all is up.
    fn await_start(&mut self) -> Result<()> {
        let (file, begun) = (self.state.path().join("running.json"), Instant::now());
        loop {
            let text = std::fs::read(&file).unwrap_or_default();
            if let Ok(running) = serde_json::from_slice(&text) {
                self.running = running;
                return Ok(());
            }
            let ended = self.up.try_wait().context("looking after the platform")?.is_some();
            if ended || begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.state.path().join("up.log")).unwrap_or_default();
                bail!("the platform does not start: {}", log.trim_end());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its gateway, as HOST:PORT.
    pub(crate) fn gateway(&self) -> &str {
        self.running["gateway"].as_str().unwrap_or_default().trim_start_matches("http://")
    }

    /// The most memory that its gateway has had so far, in MiB.
    ///
    /// # Errors
    /// `/proc` does not say.
    pub(crate) fn peak_memory_mib(&self) -> Result<f64> {
        mebibytes(&self.up.id().to_string(), "VmHWM")
    }

    /// Asks for so many replicas of a function.
    ///
    /// # Errors
    /// The gateway refuses it.
    pub(crate) fn scale(&self, function: &str, replicas: usize) -> Result<()> {
        let body = json!({"serviceName": function, "replicas": replicas}).to_string();
        http::post(self.gateway(), &format!("/system/scale-function/{function}"), &body).map(drop)
    }

    /// The address of its Redis.
    pub(crate) fn store_url(&self) -> &str {
        self.running["store_url"].as_str().unwrap_or_default()
    }

    /// Its functions' replicas.
    ///
    /// # Errors
    /// As [`Replica::of`].
    pub(crate) fn replicas(&self, function: &str) -> Result<Vec<Replica>> {
        Replica::of(function, self.state.path())
    }

    /// Trains with these flags of `downpour train`, and returns the last event, which is the run's report.
    ///
    /// # Errors
    /// The run fails.
    pub(crate) fn train<F: AsRef<OsStr>>(&self, flags: impl IntoIterator<Item = F>) -> Result<Value> {
        let output = self.training(flags).output().context("starting downpour train")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().next_back().unwrap_or_default();
        if !output.status.success() {
            bail!("downpour train failed: {last} {}", String::from_utf8_lossy(&output.stderr).trim_end());
        }
        serde_json::from_str(last).with_context(|| format!("downpour train ends with {last:?}"))
    }

    /// `downpour train` with these flags.
    pub(crate) fn training<F: AsRef<OsStr>>(&self, flags: impl IntoIterator<Item = F>) -> Command {
        let mut command = self.command("train");
        command.arg("--data-dir").arg(&self.data).args(flags);
        command
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
