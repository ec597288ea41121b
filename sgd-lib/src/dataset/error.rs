//! Why a data set can't be had.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Why a data set could not be found, read, prepared or rebuilt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The operating system refused.
    #[error("{}: can't {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// No data set has this name.
    #[error("no data set is called {found:?}; known are {known}")]
    UnknownName {
        /// The name asked for.
        found: String,
        /// The allowed names, separated by commas.
        known: String,
    },
    /// The folder does not hold the wanted data set, or none at all.
    #[error("{}: found {found}; wanted {wanted}", folder.display())]
    NotFound {
        /// The folder.
        folder: PathBuf,
        /// The data sets that are there.
        found: String,
        /// The files that would have done.
        wanted: String,
    },
    /// One or more of the four IDX files are not there.
    #[error("{}: {set} lacks {missing}", folder.display())]
    Incomplete {
        /// The folder.
        folder: PathBuf,
        /// The data set whose other files are there.
        set: String,
        /// The missing files, separated by commas.
        missing: String,
    },
    /// More than one file or data set fits.
    #[error("{}: holds {}; {wanted}", folder.display(), found.join(" and "))]
    Ambiguous {
        /// The folder.
        folder: PathBuf,
        /// What fits.
        found: Vec<String>,
        /// How to tell which is meant.
        wanted: &'static str,
    },
    /// A file is not what it should be.
    #[error("{}: found {found}; wanted {wanted}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What is there.
        found: String,
        /// What should be there.
        wanted: String,
    },
    /// A chunk is not the one that belongs here.
    #[error("chunk {index}: found {found}; wanted {wanted}")]
    Chunk {
        /// Which chunk was due.
        index: u32,
        /// What came.
        found: String,
        /// What should have come.
        wanted: String,
    },
    /// A manifest describes no data set.
    #[error("manifest: {field} is {found}; wanted {wanted}")]
    Manifest {
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// The values allowed.
        wanted: String,
    },
}

impl DatasetError {
    /// Turns an I/O error into one that names the file: for `map_err`.
    pub(crate) fn io<'a>(path: &'a Path, action: &'static str) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io { path: path.to_owned(), action, source }
    }

    pub(crate) fn format(file: &Path, found: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self::Format { file: file.to_owned(), found: found.into(), wanted: wanted.into() }
    }
}
