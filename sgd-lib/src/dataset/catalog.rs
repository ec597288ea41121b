//! What is published under each name, and where.

use super::Name;

/// A published data set: its shape and its files.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Number of classes.
    pub classes: usize,
    /// Training images in the published files; a folder may hold fewer.
    pub train_images: usize,
    /// Test images in the published files.
    pub test_images: usize,
    /// Whether the files hold each image transposed (column after column).
    pub transposed: bool,
    /// What a label is taken down by to become a class from 0.
    pub first_label: u8,
    /// The files in a folder, as published: training images and labels, test images and labels,
    /// and for EMNIST the mapping of labels to characters.
    pub files: &'static [&'static str],
    /// What to download to have them.
    pub downloads: &'static [Download],
}

/// One file on a server.
#[derive(Clone, Copy, Debug)]
pub struct Download {
    /// The file's name on the server.
    pub file_name: &'static str,
    /// Where it is, best first.
    pub urls: &'static [&'static str],
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hexadecimal digits.
    pub sha256: &'static str,
    /// For a zip archive: the folder inside it (with its slash) that holds [`Published::files`].
    /// `None`: the file is one of them as it is.
    pub zip_folder: Option<&'static str>,
}

/// The one archive with every EMNIST set in IDX form.
const EMNIST_ZIP: &[Download] = &[Download {
    file_name: "gzip.zip",
    urls: &[
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip",
    ],
    bytes: 561_753_746,
    sha256: "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    zip_folder: Some("gzip/"),
}];

macro_rules! emnist {
    ($set:literal, classes: $classes:literal, images: $train:literal + $test:literal, first_label: $first:literal) => {
        Published {
            classes: $classes,
            train_images: $train,
            test_images: $test,
            transposed: true,
            first_label: $first,
            files: &[
                concat!("emnist-", $set, "-train-images-idx3-ubyte.gz"),
                concat!("emnist-", $set, "-train-labels-idx1-ubyte.gz"),
                concat!("emnist-", $set, "-test-images-idx3-ubyte.gz"),
                concat!("emnist-", $set, "-test-labels-idx1-ubyte.gz"),
                concat!("emnist-", $set, "-mapping.txt"),
            ],
            downloads: EMNIST_ZIP,
        }
    };
}

const MNIST_FILES: &[&str] = &[
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];

macro_rules! plain_file {
    ($file:literal, $bytes:literal, $sha256:literal, $($base:literal),+) => {
        Download {
            file_name: $file,
            urls: &[$(concat!($base, $file)),+],
            bytes: $bytes,
            sha256: $sha256,
            zip_folder: None,
        }
    };
}

macro_rules! mnist_file {
    ($file:literal, $bytes:literal, $sha256:literal) => {
        plain_file!(
            $file,
            $bytes,
            $sha256,
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/"
        )
    };
}

macro_rules! fashion_file {
    ($file:literal, $bytes:literal, $sha256:literal) => {
        plain_file!(
            $file,
            $bytes,
            $sha256,
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
        )
    };
}

const fn ten_classes(downloads: &'static [Download]) -> Published {
    Published {
        classes: 10,
        train_images: 60_000,
        test_images: 10_000,
        transposed: false,
        first_label: 0,
        files: MNIST_FILES,
        downloads,
    }
}

const EMNIST_BYMERGE: Published = emnist!("bymerge", classes: 47, images: 697_932 + 116_323, first_label: 0);
const EMNIST_BYCLASS: Published = emnist!("byclass", classes: 62, images: 697_932 + 116_323, first_label: 0);
const EMNIST_BALANCED: Published = emnist!("balanced", classes: 47, images: 112_800 + 18_800, first_label: 0);
const EMNIST_LETTERS: Published = emnist!("letters", classes: 26, images: 124_800 + 20_800, first_label: 1);
const EMNIST_DIGITS: Published = emnist!("digits", classes: 10, images: 240_000 + 40_000, first_label: 0);
const EMNIST_MNIST: Published = emnist!("mnist", classes: 10, images: 60_000 + 10_000, first_label: 0);

const MNIST: Published = ten_classes(&[
    mnist_file!(
        "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
    ),
    mnist_file!(
        "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
    ),
    mnist_file!(
        "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
    ),
    mnist_file!(
        "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    ),
]);

const FASHION_MNIST: Published = ten_classes(&[
    fashion_file!(
        "train-images-idx3-ubyte.gz",
        26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    fashion_file!(
        "train-labels-idx1-ubyte.gz",
        29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
    fashion_file!(
        "t10k-images-idx3-ubyte.gz",
        4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
    ),
    fashion_file!(
        "t10k-labels-idx1-ubyte.gz",
        5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
    ),
]);

const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

impl Name {
    /// What is published under this name.
    pub fn published(self) -> &'static Published {
        match self {
            Self::EmnistBymerge => &EMNIST_BYMERGE,
            Self::EmnistByclass => &EMNIST_BYCLASS,
            Self::EmnistBalanced => &EMNIST_BALANCED,
            Self::EmnistLetters => &EMNIST_LETTERS,
            Self::EmnistDigits => &EMNIST_DIGITS,
            Self::EmnistMnist => &EMNIST_MNIST,
            Self::Mnist => &MNIST,
            Self::FashionMnist => &FASHION_MNIST,
        }
    }

    /// What each class shows, in the order of the classes: a character, or a word for Fashion-MNIST.
    pub fn class_names(self) -> Vec<String> {
        let characters = match self {
            Self::EmnistBymerge | Self::EmnistBalanced => "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt",
            Self::EmnistByclass => "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            Self::EmnistLetters => "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Self::EmnistDigits | Self::EmnistMnist | Self::Mnist => "0123456789",
            Self::FashionMnist => return FASHION_CLASSES.map(str::to_owned).to_vec(),
        };
        characters.chars().map(String::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_name() {
        for name in Name::ALL {
            assert_eq!(name.class_names().len(), name.published().classes, "{name}");
        }
    }

    #[test]
    fn downloads_bring_every_file() {
        for name in Name::ALL {
            let published = name.published();
            for download in published.downloads {
                assert_eq!(download.sha256.len(), 64);
                assert!(download.urls.iter().all(|url| url.ends_with(download.file_name)), "{download:?}");
                assert!(download.zip_folder.is_some() || published.files.contains(&download.file_name));
            }
            let whole = published.downloads.iter().any(|download| download.zip_folder.is_some());
            assert!(whole || published.downloads.len() == published.files.len(), "{name}");
        }
    }
}
