//! The data sets that have a name.

use std::{fmt, str::FromStr};

use super::DatasetError;

/// A published data set; what is known of it stands in [`Name::published`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// EMNIST ByMerge: 47 classes, letters whose cases look alike merged.
    EmnistBymerge,
    /// EMNIST ByClass: 62 classes, digits and letters of both cases.
    EmnistByclass,
    /// EMNIST Balanced: ByMerge's classes, equally many images of each.
    EmnistBalanced,
    /// EMNIST Letters: 26 classes, both cases merged; published as labels 1 to 26, here 0 to 25.
    EmnistLetters,
    /// EMNIST Digits: 10 classes.
    EmnistDigits,
    /// EMNIST MNIST: MNIST rebuilt from the same sources as the rest of EMNIST.
    EmnistMnist,
    /// The original MNIST.
    Mnist,
    /// Fashion-MNIST: ten kinds of clothing.
    FashionMnist,
}

impl Name {
    /// Every name, in the order in which help and errors list them.
    pub const ALL: [Self; 8] = [
        Self::EmnistBymerge,
        Self::EmnistByclass,
        Self::EmnistBalanced,
        Self::EmnistLetters,
        Self::EmnistDigits,
        Self::EmnistMnist,
        Self::Mnist,
        Self::FashionMnist,
    ];

    /// The name as written on a command line and in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmnistBymerge => "emnist-bymerge",
            Self::EmnistByclass => "emnist-byclass",
            Self::EmnistBalanced => "emnist-balanced",
            Self::EmnistLetters => "emnist-letters",
            Self::EmnistDigits => "emnist-digits",
            Self::EmnistMnist => "emnist-mnist",
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Name {
    type Err = DatasetError;

    fn from_str(text: &str) -> Result<Self, DatasetError> {
        Self::ALL.into_iter().find(|name| name.as_str() == text).ok_or_else(|| DatasetError::UnknownName {
            found: text.to_owned(),
            known: Self::ALL.map(Self::as_str).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back() {
        for name in Name::ALL {
            assert_eq!(name.to_string().parse::<Name>().unwrap(), name);
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = "emnist".parse::<Name>().unwrap_err().to_string();
        assert!(
            message.contains("\"emnist\"") && message.contains("emnist-bymerge, emnist-byclass"),
            "{message}"
        );
        assert!(message.ends_with("mnist, fashion-mnist"), "{message}");
    }
}
