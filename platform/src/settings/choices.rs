//! The settings that are one of a few words. Only what is built is a value. What sgd-lib has words
//! for stands there; these are the others, and those that add an `auto`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sgd_lib::dataset::Name;

/// A word that is none of a setting's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such value")]
pub struct NotAChoice;

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value's word.
            pub const NAMES: &'static [&'static str] = &[$($word),+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $word,)+ })
            }
        }

        impl FromStr for $name {
            type Err = NotAChoice;

            fn from_str(word: &str) -> Result<Self, NotAChoice> {
                match word { $($word => Ok(Self::$variant),)+ _ => Err(NotAChoice) }
            }
        }
    )+};
}

choices! {
    /// Where a function finds the data.
    DatasetSource {
        /// In the files of the data folder.
        Files = "files",
        /// In the store, where setup put it.
        Store = "store",
    }

    /// How functions share the work of a run.
    TrainType {
        /// One function does everything in one invocation.
        SingleFunction = "1",
        /// A setup function fans out to train functions, each invocation of which does one epoch and
        /// schedules the next.
        FunctionPerIteration = "2",
        /// A setup function fans out to train functions that run to the end.
        SetupAndLoop = "3",
    }

    /// How setup starts the train functions.
    FanOut {
        /// Calls that are answered with a worker's place.
        Direct = "direct",
        /// Calls through the gateway's asynchronous queue, which brings them when it can.
        Async = "async",
    }
}

impl TrainType {
    /// The number by which it goes.
    pub fn number(self) -> u8 {
        match self {
            Self::SingleFunction => 1,
            Self::FunctionPerIteration => 2,
            Self::SetupAndLoop => 3,
        }
    }
}

macro_rules! automatic {
    ($($(#[$doc:meta])* $name:ident($inner:ty) { $first:literal $(, $word:literal)* })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            /// Chosen by what is at hand.
            Auto,
            /// This one.
            Fixed($inner),
        }

        impl $name {
            /// Every value's word.
            pub const NAMES: &'static [&'static str] = &[$first $(, $word)*];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Auto => f.pad("auto"),
                    Self::Fixed(value) => value.fmt(f),
                }
            }
        }

        impl FromStr for $name {
            type Err = NotAChoice;

            fn from_str(word: &str) -> Result<Self, NotAChoice> {
                if word == "auto" { return Ok(Self::Auto); }
                word.parse().map(Self::Fixed).map_err(|_| NotAChoice)
            }
        }
    )+};
}

automatic! {
    /// Which data set to train on; `auto` is EMNIST ByMerge where its files are, else Fashion-MNIST.
    Dataset(Name) {
        "auto", "emnist-bymerge", "emnist-byclass", "emnist-balanced", "emnist-letters", "emnist-digits",
        "emnist-mnist", "mnist", "fashion-mnist"
    }

    /// How a push is encoded; `auto` is what suits its size and the way to the store.
    Codec(sgd_lib::codec::Codec) { "auto", "f32", "f16", "int8", "topk" }
}

/// The words of the choices that sgd-lib has.
pub(super) mod words {
    pub(crate) const SCHEDULE: &[&str] = &["constant", "linear", "cosine"];
    pub(crate) const OPTIMIZER: &[&str] = &["sgd", "momentum", "adagrad"];
    pub(crate) const ALGORITHM: &[&str] = &["downpour", "average", "easgd", "diloco"];
    pub(crate) const COMBINE: &[&str] = &["mean", "sum"];
    pub(crate) const DATABASE: &[&str] = &["global", "local"];
    pub(crate) const STALENESS_LR: &[&str] = &["keep", "divide"];
    pub(crate) const TRANSPOSE: &[&str] = &["auto", "yes", "no"];
}
