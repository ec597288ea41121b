//! One run of cargo, with its output passed on while it runs.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use serde::Deserialize;
use tokio::io::AsyncRead;
use tokio::process::Command;

use super::log::{Log, TEXT_LIMIT};
use crate::lines::Lines;
use crate::supervisor::group::{Group, Groups};

/// Variables of the gateway's own that cargo, compilers and build scripts get: where tools, crates and proxies are.
/// Nothing else of the gateway reaches them.
const INHERITED: [&str; 20] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "CARGO_HOME",
    "CARGO_NET_OFFLINE",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "CC",
    "CXX",
    "AR",
    "LD_LIBRARY_PATH",
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];
/// Bytes that one of cargo's messages may have.
const MESSAGE_LIMIT: usize = 1 << 20;
/// Errors that are repeated when a build fails.
const ERRORS: usize = 8;

/// Why cargo made no program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CargoError {
    #[error(
        "cannot find cargo on the gateway's PATH ({0:?}): install Rust, or start the gateway where cargo is found"
    )]
    NotFound(OsString),
    #[error("cannot run cargo: {0}")]
    Start(#[from] io::Error),
    #[error("cargo build failed ({status}){}", summary(.errors))]
    Failed { status: ExitStatus, errors: Vec<String> },
    #[error("the package has no program: wanted a [[bin]], such as src/main.rs")]
    NoProgram,
    #[error("the package has several programs ({}): wanted one", .0.join(", "))]
    Programs(Vec<String>),
}

fn summary(errors: &[String]) -> String {
    errors.iter().map(|error| format!("\n{error}")).collect()
}

/// Builds the package in a folder; the target folder is shared by all.
#[derive(Debug)]
pub(crate) struct Cargo<'a> {
    pub(crate) package: &'a Path,
    pub(crate) target: &'a Path,
}

impl Cargo<'_> {
    /// Runs cargo to its end, and returns the program. When this is dropped before, cargo and all that it started are
    /// killed.
    pub(crate) async fn build(&self, groups: &Groups, log: &Log) -> Result<PathBuf, CargoError> {
        let mut child = self.command().spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => CargoError::NotFound(std::env::var_os("PATH").unwrap_or_default()),
            _ => CargoError::Start(error),
        })?;
        let group = Group::of(groups, &child);
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(CargoError::Start(io::ErrorKind::BrokenPipe.into()));
        };
        // Goes on when this is dropped, so that what is killed is waited for, too.
        let waiting = tokio::spawn(async move { child.wait().await });
        let end = async {
            let status = waiting.await;
            // What it left running would keep the pipes open.
            drop(group);
            status
        };
        let (programs, errors, status) = tokio::join!(programs(stdout), pass_on(stderr, log), end);
        let status = status.map_err(io::Error::other)??;
        if !status.success() {
            return Err(CargoError::Failed { status, errors });
        }
        match <[PathBuf; 1]>::try_from(programs) {
            Ok([program]) => Ok(program),
            Err(programs) if programs.is_empty() => Err(CargoError::NoProgram),
            Err(programs) => Err(CargoError::Programs(programs.iter().map(|path| file_name(path)).collect())),
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("cargo");
        command
            .args(["build", "--release", "--message-format=json-render-diagnostics", "--target-dir"])
            .arg(self.target)
            .current_dir(self.package)
            .env_clear()
            .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs([("CARGO_TERM_COLOR", "never"), ("CARGO_TERM_PROGRESS_WHEN", "never")])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What cargo says of a thing that it built; there are messages of other kinds.
#[derive(Debug, Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    #[serde(default)]
    target: Target,
}

#[derive(Debug, Default, Deserialize)]
struct Target {
    kind: Vec<String>,
}

/// The programs that cargo says it built, in the order of their paths.
async fn programs(messages: impl AsyncRead + Unpin) -> Vec<PathBuf> {
    let mut lines = Lines::new(messages, MESSAGE_LIMIT);
    let mut programs = Vec::new();
    while let Some(line) = lines.next().await {
        let message = serde_json::from_str::<Message>(&line).ok();
        let program = message.filter(|message| message.target.kind.iter().any(|kind| kind == "bin"));
        programs.extend(program.and_then(|message| message.executable));
    }
    programs.sort();
    programs
}

/// Passes on what cargo and the compiler say; returns the first lines of the first errors.
async fn pass_on(output: impl AsyncRead + Unpin, log: &Log) -> Vec<String> {
    let mut lines = Lines::new(output, TEXT_LIMIT);
    let mut errors = Vec::new();
    while let Some(line) = lines.next().await {
        if line.starts_with("error") && errors.len() < ERRORS {
            errors.push(line.chars().take(TEXT_LIMIT / (2 * ERRORS)).collect());
        }
        log.line(line).await;
    }
    errors
}
