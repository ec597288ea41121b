//! The real files: EMNIST where its slice lies beside the workspace, Debian's Fashion-MNIST everywhere.

#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::path::{Path, PathBuf};

use sgd_lib::dataset::{
    ChunkWriter, Dataset, Name, Rebuild, Split, Transpose, find, read_images, read_labels,
};
use tempfile::TempDir;

/// Where the slice of EMNIST ByMerge is, on machines that have it.
fn emnist() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/emnist-bymerge-110k"));
    folder.is_dir().then_some(folder)
}

fn fashion_mnist() -> Option<PathBuf> {
    Some(PathBuf::from("/usr/share/datasets/fashion-mnist")).filter(|folder| folder.is_dir())
}

/// Every real data set of this machine: at least one.
fn folders() -> Vec<PathBuf> {
    let folders: Vec<_> = emnist().into_iter().chain(fashion_mnist()).collect();
    assert!(!folders.is_empty(), "no real data to test with: apt-get install dataset-fashion-mnist");
    folders
}

fn prepare(folder: &Path) -> (TempDir, Dataset) {
    let cache = tempfile::tempdir().unwrap();
    let dataset = Dataset::prepare(&find(folder, None).unwrap(), cache.path(), Transpose::Auto).unwrap();
    (cache, dataset)
}

#[test]
fn published_files_have_the_published_shape() {
    for folder in folders() {
        let source = find(&folder, None).unwrap();
        let name = source.known().unwrap();
        let (_cache, dataset) = prepare(&folder);
        assert_eq!(dataset.classes(), name.published().classes);
        assert_eq!(dataset.class_names(), name.class_names());
        assert_eq!((dataset.width(), dataset.height(), dataset.name()), (28, 28, name.as_str()));
        let (train, test) = match name {
            Name::EmnistBymerge => (100_000, 10_000),
            _ => (60_000, 10_000),
        };
        assert_eq!((dataset.train().len(), dataset.test().len()), (train, test));
        let zero_share = if name == Name::FashionMnist { 0.45..0.55 } else { 0.6..0.7 };
        assert!(zero_share.contains(&dataset.zero_share()), "{name}: {}", dataset.zero_share());
        dataset.verify().unwrap();
    }
}

#[test]
fn one_file_alone_reads_as_in_the_data_set() {
    for folder in folders() {
        let (_cache, dataset) = prepare(&folder);
        let source = find(&folder, None).unwrap();
        let paths: Vec<_> = source.paths().collect();
        let images = read_images(paths[2], Transpose::Auto).unwrap();
        assert_eq!((images.count, images.width, images.height), (10_000, 28, 28));
        assert!(images.pixels == dataset.test().images);
        assert_eq!(read_labels(paths[3]).unwrap(), dataset.test().labels);
    }
}

#[test]
fn real_data_survive_chunking() {
    for folder in folders() {
        let (_cache, dataset) = prepare(&folder);
        let elsewhere = tempfile::tempdir().unwrap();
        let Rebuild::Missing(mut writer) = ChunkWriter::start(elsewhere.path(), &dataset.manifest()).unwrap()
        else {
            panic!("the folder is new");
        };
        let mut bytes = 0;
        for chunk in dataset.chunks() {
            bytes += chunk.len();
            writer.push(&chunk).unwrap();
        }
        assert!(bytes < dataset.shape().pixels() * 70_000, "{bytes} bytes: chunks are compressed");
        let rebuilt = writer.finish().unwrap();
        assert_eq!(rebuilt.digest(), dataset.digest());
        rebuilt.verify().unwrap();
    }
}

/// How far up and down, and left and right, an image's ink reaches on average: a class's own proportions.
fn extent(split: Split<'_>, class: u8) -> (f64, f64) {
    let (mut rows, mut columns, mut count) = (0, 0, 0);
    for index in (0..split.len()).filter(|index| split.labels[*index] == class) {
        let image = split.image(index);
        rows += image.chunks(28).filter(|row| row.iter().any(|pixel| *pixel > 127)).count();
        columns += (0..28).filter(|x| image.iter().skip(*x).step_by(28).any(|pixel| *pixel > 127)).count();
        count += 1;
    }
    (f64::from(rows as u32) / f64::from(count), f64::from(columns as u32) / f64::from(count))
}

#[test]
fn images_are_upright() {
    for folder in folders() {
        let (_cache, dataset) = prepare(&folder);
        // A handwritten 1, and trousers, are higher than wide.
        let (high, wide) = extent(dataset.train(), 1);
        assert!(high > 1.5 * wide, "{}: {high} high, {wide} wide", dataset.name());
    }
}

#[test]
fn matlab_and_idx_files_hold_the_same_images() {
    // Only EMNIST is published in both forms; files made for the purpose are read in the unit tests.
    let Some(folder) = emnist() else {
        assert!(
            fashion_mnist().is_some(),
            "no real data to test with: apt-get install dataset-fashion-mnist"
        );
        return;
    };
    let (_cache, idx) = prepare(&folder);
    let (_cache, mat) = prepare(&folder.join("emnist-bymerge-sample.mat"));
    assert_eq!((mat.train().len(), mat.test().len()), (4000, 1000));
    assert_eq!((mat.name(), mat.class_names()), ("emnist-bymerge", idx.class_names()));
    for (mat, idx) in [(mat.train(), idx.train().first(4000)), (mat.test(), idx.test().first(1000))] {
        assert!(mat.images == idx.images && mat.labels == idx.labels);
    }
}

#[test]
fn a_cache_that_cant_be_written_is_named() {
    let cache = tempfile::tempdir().unwrap();
    let file = cache.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let source = find(&folders()[0], None).unwrap();
    let message = Dataset::prepare(&source, &file.join("cache"), Transpose::Auto).unwrap_err().to_string();
    assert!(message.contains("file/cache: can't create the folder"), "{message}");
}
