//! What a benchmark is given.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use sgd_lib::dataset::{self, Dataset, Transpose};

/// Where data to measure with are looked for, the first that is there.
const DATA: [&str; 2] = ["../shared/data/emnist-bymerge-110k", "/usr/share/datasets/fashion-mnist"];

/// What a benchmark is given.
pub(crate) struct Context {
    /// The program `downpour`, beside this one.
    pub(crate) downpour: PathBuf,
    /// The folder with the data set's files.
    pub(crate) data: PathBuf,
    quick: bool,
}

impl Context {
    /// # Errors
    /// There are no data, or no `downpour` beside this program.
    pub(crate) fn new(data: Option<&Path>, quick: bool) -> Result<Self> {
        let own = env::current_exe().context("finding this program")?;
        let downpour = own.with_file_name("downpour");
        if !downpour.is_file() {
            bail!("{} is not there; build it: cargo build --release --workspace", downpour.display());
        }
        Ok(Self { downpour, data: find(data)?, quick })
    }

    /// The data, prepared once for all benchmarks of this machine.
    ///
    /// # Errors
    /// They can't be read.
    pub(crate) fn dataset(&self) -> Result<Dataset> {
        prepare(&self.data)
    }

    /// How often, or how much: `full`, or `quick` where it only has to be shown that it works.
    pub(crate) fn effort<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Tells whoever waits what is being done.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("{what}");
    }
}

/// The data in this folder, prepared once for all benchmarks of this machine.
///
/// # Errors
/// They can't be read.
pub(crate) fn prepare(data: &Path) -> Result<Dataset> {
    let source = dataset::find(data, None)?;
    let cache = env::temp_dir().join("downpour-bench-cache");
    Ok(Dataset::prepare(&source, &cache, Transpose::Auto)?)
}

fn find(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(folder) = given {
        return Ok(folder.to_owned());
    }
    let found = DATA.iter().map(PathBuf::from).find(|folder| folder.is_dir());
    found.with_context(|| format!("no data in {}: give --data-dir", DATA.join(" or ")))
}
