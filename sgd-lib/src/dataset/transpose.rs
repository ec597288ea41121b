//! Turning images upright.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Whether files hold their images transposed (column after column), as EMNIST's do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transpose {
    /// IDX files named `emnist-*` and MATLAB files do, others don't.
    #[default]
    Auto,
    /// They do, whatever they are called.
    Yes,
    /// They don't.
    No,
}

impl fmt::Display for Transpose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Auto => "auto",
            Self::Yes => "yes",
            Self::No => "no",
        })
    }
}

impl FromStr for Transpose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Auto, Self::Yes, Self::No]
            .into_iter()
            .find(|choice| choice.to_string() == text)
            .ok_or_else(|| format!("transposed is {text:?}; wanted is auto, yes or no"))
    }
}

impl Transpose {
    /// Whether an IDX file of this name holds transposed images.
    pub(crate) fn of_idx(self, file_name: &str) -> bool {
        match self {
            Self::Auto => file_name.starts_with("emnist-"),
            Self::Yes => true,
            Self::No => false,
        }
    }

    /// Whether a MATLAB file does: MATLAB stores column after column.
    pub(crate) fn of_mat(self) -> bool {
        self != Self::No
    }
}

/// Where pixel `stored` of an image stored column after column belongs in the upright one.
pub(crate) fn upright_index(stored: usize, width: usize, height: usize) -> usize {
    (stored % height) * width + stored / height
}

/// Writes an image stored column after column into `upright`, row after row.
pub(crate) fn transpose(stored: &[u8], width: usize, upright: &mut [u8]) {
    let height = stored.len() / width;
    for (x, column) in stored.chunks_exact(height).enumerate() {
        for (y, pixel) in column.iter().enumerate() {
            upright[y * width + x] = *pixel;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_become_rows() {
        // 2 wide, 3 high: the columns 0 1 2 and 3 4 5.
        let stored = [0, 1, 2, 3, 4, 5];
        let mut upright = [0; 6];
        transpose(&stored, 2, &mut upright);
        assert_eq!(upright, [0, 3, 1, 4, 2, 5]);
        for (index, pixel) in stored.into_iter().enumerate() {
            assert_eq!(upright[upright_index(index, 2, 3)], pixel);
        }
    }

    #[test]
    fn emnist_is_known_by_its_name() {
        assert!(Transpose::Auto.of_idx("emnist-letters-test-images-idx3-ubyte.gz"));
        assert!(!Transpose::Auto.of_idx("t10k-images-idx3-ubyte"));
        assert!(!Transpose::No.of_idx("emnist-letters-test-images-idx3-ubyte.gz"));
        assert!(Transpose::Yes.of_idx("t10k-images-idx3-ubyte") && Transpose::Auto.of_mat());
    }
}
