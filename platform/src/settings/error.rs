//! What can be wrong with a setting.

/// A setting that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A value that the setting doesn't take.
    #[error("{place}: found {found}, wanted {wanted}")]
    Value {
        /// Where it was given, and the setting's name there.
        place: String,
        /// The value, shortened.
        found: String,
        /// What it may be.
        wanted: String,
    },
    /// A name that no setting has.
    #[error("unknown {place} {name:?}{suggestion}; there are {known}")]
    Unknown {
        /// Where it was given.
        place: &'static str,
        /// The name, shortened.
        name: String,
        /// The name that was probably meant, if any.
        suggestion: String,
        /// Every name that there is.
        known: String,
    },
    /// A key that is given twice.
    #[error("the request body has the key {0:?} twice")]
    Twice(String),
    /// A body that is no JSON object.
    #[error("the request body is no JSON object such as {{\"alpha\": 0.5}}: {0}")]
    Body(String),
    /// A body that is too long.
    #[error("the request body has {found} bytes, wanted at most {limit}")]
    TooLong {
        /// Its length in bytes.
        found: usize,
        /// The most bytes that are read.
        limit: usize,
    },
}
