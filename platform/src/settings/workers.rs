//! The number of workers.

use std::fmt;

/// How many workers share the data of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workers {
    /// As many as the train function has ready replicas, at any time.
    Auto,
    /// So many.
    Fixed(usize),
}

impl Workers {
    /// The number, where there is one.
    pub fn fixed(self) -> Option<usize> {
        match self {
            Self::Auto => None,
            Self::Fixed(workers) => Some(workers),
        }
    }
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.pad("auto"),
            Self::Fixed(workers) => workers.fmt(f),
        }
    }
}
