//! What a setting's text may be.

use std::ops::Bound;

use crate::invoker::UrlTemplate;

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A whole number.
    Integer {
        /// The least.
        least: u64,
        /// The greatest.
        most: u64,
    },
    /// The same, or `auto`.
    IntegerOrAuto {
        /// The least.
        least: u64,
        /// The greatest.
        most: u64,
    },
    /// A finite number between two bounds.
    Number(Bound<f64>, Bound<f64>),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// The widths of hidden layers.
    Widths,
    /// A path of a folder.
    Folder,
    /// The name of a secret.
    SecretName,
    /// The address of a Redis.
    StoreUrl,
    /// The address of a gateway.
    GatewayUrl,
    /// The address of functions, as a template.
    FunctionUrl,
}

impl Kind {
    /// The values in words, as an error or a reference says them.
    pub fn wanted(&self) -> String {
        match self {
            Self::Integer { least, most } if *most == u64::MAX => format!("a whole number from {least}"),
            Self::Integer { least, most } => format!("a whole number from {least} to {most}"),
            Self::IntegerOrAuto { least, most } => format!("a whole number from {least} to {most}, or auto"),
            Self::Number(low, high) => {
                let low = match low {
                    Bound::Included(low) => format!(" from {low}"),
                    Bound::Excluded(low) => format!(" above {low}"),
                    Bound::Unbounded => String::new(),
                };
                let high = match high {
                    Bound::Included(high) => format!(" and at most {high}"),
                    Bound::Excluded(high) => format!(" and below {high}"),
                    Bound::Unbounded => String::new(),
                };
                format!("a number{low}{high}")
            }
            Self::Choice([word]) => format!("{word}, the only value so far"),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Widths => "one to 64 widths from 1 to 65536 such as 100 or 256,128, or none".to_owned(),
            Self::Folder => "the path of a folder".to_owned(),
            Self::SecretName => "the name of a secret (a-z, 0-9, - and .)".to_owned(),
            Self::StoreUrl => {
                "redis[s]://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE] or unix:///PATH".to_owned()
            }
            Self::GatewayUrl => "HOST, HOST:PORT or http://HOST[:PORT]".to_owned(),
            Self::FunctionUrl => UrlTemplate::WANTED.to_owned(),
        }
    }
}
