//! The settings that are one of a few words. Only what is built is a value.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

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
    /// Which data set to train on.
    Dataset {
        /// EMNIST ByMerge where its files are, else Fashion-MNIST.
        Auto = "auto",
        /// 814,255 images of 47 classes.
        EmnistByMerge = "emnist-bymerge",
        /// 814,255 images of 62 classes.
        EmnistByClass = "emnist-byclass",
        /// 131,600 images of 47 classes.
        EmnistBalanced = "emnist-balanced",
        /// 145,600 images of 26 classes.
        EmnistLetters = "emnist-letters",
        /// 280,000 images of 10 classes.
        EmnistDigits = "emnist-digits",
        /// 70,000 images of 10 classes, made as EMNIST was.
        EmnistMnist = "emnist-mnist",
        /// 70,000 images of 10 classes.
        Mnist = "mnist",
        /// 70,000 images of 10 classes of clothing.
        FashionMnist = "fashion-mnist",
    }

    /// Where a function finds the data.
    DatasetSource {
        /// In the files of the data folder.
        Files = "files",
        /// In the store, where setup put it.
        Store = "store",
    }

    /// How the learning rate changes over the epochs.
    LearningRateSchedule {
        /// Not at all.
        Constant = "constant",
        /// Straight down to zero.
        Linear = "linear",
        /// Down to zero along half a cosine.
        Cosine = "cosine",
    }

    /// What a gradient does to the parameters.
    Optimizer {
        /// Plain stochastic gradient descent.
        Sgd = "sgd",
        /// Gradient descent with momentum.
        Momentum = "momentum",
        /// A learning rate per parameter, as in DistBelief.
        Adagrad = "adagrad",
    }

    /// How workers train together.
    Algorithm {
        /// Downpour SGD: asynchronous pushes and fetches.
        Downpour = "downpour",
    }

    /// What a push counts for.
    Combine {
        /// One part in as many as there are workers.
        Mean = "mean",
        /// All of it, as in DistBelief.
        Sum = "sum",
    }

    /// How functions share the work of a run.
    TrainType {
        /// One function does everything in one invocation.
        SingleFunction = "1",
        /// A setup function fans out to train functions that run to the end.
        SetupAndLoop = "3",
    }

    /// Which Redis workers push to.
    Database {
        /// One for all nodes.
        Global = "global",
    }

    /// How setup starts the train functions.
    FanOut {
        /// Calls through the gateway.
        Direct = "direct",
    }

    /// How a push is encoded.
    Codec {
        /// What suits the network's size.
        Auto = "auto",
        /// Four bytes a value, exact.
        F32 = "f32",
        /// Two bytes a value.
        F16 = "f16",
        /// One byte a value, with a scale per row.
        Int8 = "int8",
    }

    /// Whether the images of IDX files are stored transposed.
    Transpose {
        /// Those of files named `emnist-*` are.
        Auto = "auto",
        /// They are.
        Yes = "yes",
        /// They are not.
        No = "no",
    }
}
