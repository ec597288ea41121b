//! The data set that scenarios train.

use std::path::{Path, PathBuf};

use sgd_lib::dataset::{Dataset, Split, Transpose, find, read_labels};

use crate::Place;

/// A published data set in a folder of IDX files.
#[derive(Clone, Debug)]
pub struct Data {
    /// The folder.
    pub folder: PathBuf,
    /// What a report calls it.
    pub name: &'static str,
    /// Images to train with.
    pub train_images: u64,
    /// Images to test with.
    pub test_images: u64,
    /// The file of the test images.
    pub images: PathBuf,
    /// The file of their labels.
    pub labels: PathBuf,
}

/// A slice of EMNIST ByMerge beside the workspace, where somebody put one.
const EMNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/emnist-bymerge-110k");
/// Where Debian's `dataset-fashion-mnist` puts Fashion-MNIST.
const FASHION_MNIST: &str = "/usr/share/datasets/fashion-mnist";

impl Data {
    /// EMNIST where its slice is, else Fashion-MNIST.
    ///
    /// # Panics
    /// Neither is there.
    pub fn find() -> Self {
        if let Ok(emnist) = Path::new(EMNIST).canonicalize() {
            return Self::in_folder(
                &emnist,
                "emnist-bymerge",
                ["emnist-bymerge-train", "emnist-bymerge-test"],
            );
        }
        let fashion = Path::new(FASHION_MNIST);
        assert!(
            fashion.is_dir(),
            "no data: neither {EMNIST} nor {FASHION_MNIST} is there; `apt install dataset-fashion-mnist` installs the latter"
        );
        Self::in_folder(fashion, "fashion-mnist", ["train", "t10k"])
    }

    fn in_folder(folder: &Path, name: &'static str, [train, test]: [&str; 2]) -> Self {
        let file = |split: &str, kind: &str| folder.join(format!("{split}-{kind}-ubyte.gz"));
        let count = |file: &Path| read_labels(file).expect("labels").len() as u64;
        let labels = file(test, "labels-idx1");
        Self {
            folder: folder.to_owned(),
            name,
            train_images: count(&file(train, "labels-idx1")),
            test_images: count(&labels),
            images: file(test, "images-idx3"),
            labels,
        }
    }

    /// The first images of this data set, as one of its own in `place`: its epochs take milliseconds.
    ///
    /// # Panics
    /// It can't be read or written.
    pub fn part(&self, place: &Place, train_images: usize, test_images: usize) -> Self {
        let source = find(&self.folder, None).expect("a data set");
        let whole = Dataset::prepare(&source, &place.path("whole"), Transpose::Auto).expect("its images");
        let write = |split: &str, part: Split<'_>| {
            let side = part.pixels.isqrt();
            let images = idx(&[part.len(), side, side], part.images);
            let labels =
                place.write(&format!("part/{split}-labels-idx1-ubyte"), &idx(&[part.len()], part.labels));
            (place.write(&format!("part/{split}-images-idx3-ubyte"), &images), labels)
        };
        let (train, test) = (whole.train().first(train_images), whole.test().first(test_images));
        write("train", train);
        let (images, labels) = write("t10k", test);
        Self {
            folder: place.path("part"),
            name: "part",
            train_images: train.len() as u64,
            test_images: test.len() as u64,
            images,
            labels,
        }
    }

    /// The folder, as an argument.
    ///
    /// # Panics
    /// Its name is not UTF-8.
    pub fn folder(&self) -> &str {
        self.folder.to_str().expect("a folder's name in UTF-8")
    }
}

/// An IDX file of bytes.
fn idx(dimensions: &[usize], content: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dimensions.len() as u8];
    for &dimension in dimensions {
        file.extend(u32::try_from(dimension).expect("a small file").to_be_bytes());
    }
    file.extend_from_slice(content);
    file
}
