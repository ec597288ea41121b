//! The interpreters that peers run in, and how they are run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use crate::context::Context;

/// This crate, whose folder has the scripts.
const CRATE: &str = env!("CARGO_MANIFEST_DIR");
/// Debian's, which its packages are for, whatever else is first on the path.
const INTERPRETERS: [&str; 2] = ["python3", "/usr/bin/python3"];

/// The interpreters that have what peers need; or why there is none.
pub(super) struct Interpreters {
    numpy: Result<PathBuf>,
    torch: Result<PathBuf>,
}

impl Interpreters {
    /// Those that are there, and what can be installed: NumPy and a client of Redis into a virtual environment
    /// beside this program, PyTorch as Debian's package, since that is for processors alone. Nothing is installed
    /// in quick runs.
    pub(super) fn find(context: &Context) -> Self {
        let own = context.downpour.with_file_name("peers-python");
        let install = context.effort(true, false);
        let python = own.join("bin/python");
        let found = |modules| find(&python, modules);
        let numpy = match found("numpy, redis") {
            Ok(found) if !install || found == python => Ok(found),
            other if install => install_numpy(context, &own).or(other),
            other => other,
        };
        let torch = match found("torch, numpy") {
            Err(_) if install => install_torch(context).and_then(|()| found("torch, numpy")),
            other => other,
        };
        Self { numpy, torch }
    }

    /// Runs a script; the object that it prints last.
    ///
    /// # Errors
    /// There is no interpreter for it, it fails, or it misses its target.
    pub(super) fn run(&self, context: &Context, script: &str, flags: &[&str]) -> Result<Value> {
        let interpreter = if script.starts_with("pytorch") { &self.torch } else { &self.numpy };
        let interpreter = interpreter.as_ref().map_err(|error| anyhow!("{error:#}"))?;
        let mut command = Command::new(interpreter);
        // The scripts lie among the sources.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
            .arg(Path::new(CRATE).join("peers").join(script))
            .arg("--data-dir")
            .arg(&context.data)
            .args(flags);
        let output = output(&mut command)?;
        let line = String::from_utf8_lossy(&output.stdout);
        let line = line.lines().next_back().unwrap_or_default();
        let found: Value =
            serde_json::from_str(line).with_context(|| format!("{script} ends with {line:?}"))?;
        if found["reached"] != true {
            bail!("{script} misses its target: {line}");
        }
        Ok(found)
    }
}

/// The first interpreter that has these modules.
fn find(own: &Path, modules: &str) -> Result<PathBuf> {
    let candidates = [own.to_owned()].into_iter().chain(INTERPRETERS.map(PathBuf::from));
    let has =
        |python: &PathBuf| output(Command::new(python).args(["-c", &format!("import {modules}")])).is_ok();
    candidates.into_iter().find(has).with_context(|| format!("no Python here has {modules}"))
}

fn install_numpy(context: &Context, folder: &Path) -> Result<PathBuf> {
    context.say(&format!("installing NumPy and a client of Redis in {}", folder.display()));
    let python = folder.join("bin/python");
    output(Command::new(INTERPRETERS[0]).args(["-m", "venv"]).arg(folder))?;
    output(Command::new(&python).args(["-m", "pip", "--quiet", "install", "numpy", "redis"]))?;
    Ok(python)
}

fn install_torch(context: &Context) -> Result<()> {
    context.say("installing PyTorch for processors (Debian's python3-torch)");
    output(Command::new(Path::new(CRATE).join("../scripts/install-deps.sh")).arg("pytorch")).map(drop)
}

/// Runs a command; what it wrote, and where it fails the last line of that.
fn output(command: &mut Command) -> Result<Output> {
    let name = command.get_program().to_owned();
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("starting {}", name.display()))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{}: {}: {}",
            name.display(),
            output.status,
            text.trim_end().lines().next_back().unwrap_or_default()
        );
    }
    Ok(output)
}
