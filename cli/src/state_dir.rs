//! The state folder: what stays on this machine between two commands.

use std::env;
use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The state folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StateDir {
    path: PathBuf,
    /// The one whose data sets are used: itself, as a rule.
    data: PathBuf,
}

impl StateDir {
    /// The folder given (by `--state-dir` or `DOWNPOUR_STATE`), or this user's own. Nothing is created.
    pub(crate) fn locate(given: Option<&Path>) -> Result<Self> {
        Self::choose(given, env::var_os("XDG_STATE_HOME"), env::var_os("HOME"))
    }

    fn choose(
        given: Option<&Path>,
        xdg_state_home: Option<OsString>,
        home: Option<OsString>,
    ) -> Result<Self> {
        // An empty or relative $XDG_STATE_HOME counts as unset, as its specification says.
        let absolute = |value: OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
        if let Some(given) = given {
            let path = std::path::absolute(given)
                .with_context(|| format!("the state folder {:?} has no absolute path", given.display()))?;
            Ok(Self::at(path))
        } else if let Some(state) = xdg_state_home.and_then(absolute) {
            Ok(Self::at(state.join("downpour")))
        } else if let Some(home) = home.and_then(absolute) {
            Ok(Self::at(home.join(".local/state/downpour")))
        } else {
            bail!("no state folder: HOME is not set; give one with --state-dir DIR or DOWNPOUR_STATE")
        }
    }

    fn at(path: PathBuf) -> Self {
        Self { data: path.clone(), path }
    }

    /// One inside of this, for a platform beside the one here; data sets are shared.
    pub(crate) fn beside(&self, name: &str) -> Self {
        Self { path: self.path.join(name), data: self.data.clone() }
    }

    /// The state folder itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of the private Redis.
    pub(crate) fn redis(&self) -> PathBuf {
        self.path.join("redis")
    }

    /// The folder of the private Redis of a virtual node.
    pub(crate) fn node(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder of the local gateway.
    pub(crate) fn gateway(&self) -> PathBuf {
        self.path.join("gateway")
    }

    /// The folder of downloaded data sets and of the archives that they came in.
    pub(crate) fn datasets(&self) -> PathBuf {
        self.data.join("data")
    }

    /// The folder of one downloaded data set.
    pub(crate) fn dataset(&self, name: &str) -> PathBuf {
        self.datasets().join(name)
    }

    /// The folder of prepared data sets.
    pub(crate) fn prepared(&self) -> PathBuf {
        self.data.join("prepared")
    }

    /// A folder in the state folder, created where missing and readable by this user only.
    pub(crate) fn create(&self, dir: &Path) -> Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("can't create {}", dir.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(given: Option<&str>, xdg: Option<&str>, home: Option<&str>) -> Result<StateDir> {
        StateDir::choose(given.map(Path::new), xdg.map(OsString::from), home.map(OsString::from))
    }

    #[test]
    fn the_given_folder_wins_then_xdg_then_home() {
        let path = |dir: Result<StateDir>| dir.unwrap().path;
        assert_eq!(path(chosen(Some("/a"), Some("/b"), Some("/c"))), Path::new("/a"));
        assert_eq!(path(chosen(None, Some("/b"), Some("/c"))), Path::new("/b/downpour"));
        assert_eq!(path(chosen(None, Some("relative"), Some("/c"))), Path::new("/c/.local/state/downpour"));
        assert!(path(chosen(Some("here"), None, None)).is_absolute());
    }

    #[test]
    fn one_beside_shares_the_data() {
        let dir = chosen(Some("/a"), None, None).unwrap();
        let beside = dir.beside("grid");
        assert_eq!(beside.redis(), Path::new("/a/grid/redis"));
        assert_eq!((beside.datasets(), beside.prepared()), (dir.datasets(), dir.prepared()));
    }

    #[test]
    fn without_a_home_the_error_says_what_to_set() {
        let error = chosen(None, Some(""), None).unwrap_err().to_string();
        assert!(error.contains("--state-dir"), "{error}");
    }
}
