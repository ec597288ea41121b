use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::Barrier,
    thread,
    time::{Duration, SystemTime},
};

use super::super::{
    Name, find,
    header::HEADER_BYTES,
    test_files::{Mat, Sample, folder, gz, idx},
};
use super::*;

fn open(folder: &Path, name: Option<Name>) -> Result<Dataset, DatasetError> {
    Dataset::prepare(&find(folder, name)?, &folder.join("cache"), Transpose::Auto)
}

fn message_of(folder: &Path) -> String {
    open(folder, None).unwrap_err().to_string()
}

fn inode(dataset: &Dataset) -> u64 {
    fs::metadata(dataset.path()).unwrap().ino()
}

#[test]
fn idx_files_are_prepared_once() {
    let folder = folder();
    let sample = Sample::new(9, 4, 3, 2);
    sample.write_idx(folder.path(), "shapes-", true);
    let dataset = open(folder.path(), None).unwrap();
    assert_eq!((dataset.train().images, dataset.train().labels), (&sample.train.0[..], &sample.train.1[..]));
    assert_eq!((dataset.test().images, dataset.test().labels), (&sample.test.0[..], &sample.test.1[..]));
    assert_eq!((dataset.name(), dataset.classes(), dataset.pixels()), ("shapes", 3, 6));
    assert_eq!((dataset.width(), dataset.height()), (3, 2));
    assert_eq!(dataset.class_names(), ["0", "1", "2"]);
    let zeros = sample.train.0.iter().filter(|pixel| **pixel == 0).count();
    assert_eq!(dataset.zero_share(), zeros as f32 / sample.train.0.len() as f32);
    dataset.verify().unwrap();
    let again = open(folder.path(), None).unwrap();
    assert_eq!((inode(&again), again.digest()), (inode(&dataset), dataset.digest()));
}

#[test]
fn emnist_is_turned_upright_and_its_letters_count_from_0() {
    let folder = folder();
    let mut sample = Sample::new(3, 2, 3, 2);
    sample.train.1 = vec![1, 26, 2];
    sample.test.1 = vec![1, 3];
    sample.write_idx(folder.path(), "emnist-letters-", true);
    let dataset = open(folder.path(), None).unwrap();
    assert_eq!((dataset.width(), dataset.height(), dataset.classes()), (2, 3, 26));
    assert_eq!((dataset.train().labels, dataset.test().labels), (&[0, 25, 1][..], &[0, 2][..]));
    assert_eq!(dataset.class_names()[25], "Z");
    let [a, b, c, d, e, f] = sample.train.0[..6] else { panic!("six pixels") };
    assert_eq!(dataset.train().image(0), [a, d, b, e, c, f]);
    // Read as they are, they are other images in another cache.
    let source = find(folder.path(), None).unwrap();
    let stored = Dataset::prepare(&source, &folder.path().join("cache"), Transpose::No).unwrap();
    assert_eq!(stored.train().images, sample.train.0);
    assert_ne!((stored.path(), stored.digest()), (dataset.path(), dataset.digest()));
}

#[test]
fn a_mapping_beside_the_files_names_the_classes() {
    let folder = folder();
    Sample::new(3, 2, 2, 2).write_idx(folder.path(), "", false);
    fs::write(folder.path().join("mapping.txt"), "0 48\n1 97\n2 90\n").unwrap();
    assert_eq!(open(folder.path(), None).unwrap().class_names(), ["0", "a", "Z"]);
    fs::write(folder.path().join("mapping.txt"), "0 48\n1 97\n").unwrap();
    let message = message_of(folder.path());
    assert!(message.contains("label 2 at image 2; wanted labels 0 to 1"), "{message}");
}

#[test]
fn a_matlab_file_gives_the_same_images() {
    let folder = folder();
    let sample = Sample::new(50, 7, 4, 4);
    sample.write_idx(folder.path(), "emnist-x-", false);
    let idx = open(folder.path(), None).unwrap();
    for big_endian in [false, true] {
        let mat = Mat { big_endian };
        let other = tempfile::tempdir().unwrap();
        let bytes = mat.dataset(&sample, &[(0, 48), (1, 49), (2, 50)]);
        fs::write(other.path().join("emnist-x.mat"), mat.file(&[mat.compressed(&bytes)])).unwrap();
        let dataset = open(other.path(), None).unwrap();
        assert_eq!((dataset.digest(), dataset.class_names()), (idx.digest(), idx.class_names()));
        let left = fs::read_dir(other.path().join("cache")).unwrap().count();
        assert_eq!(left, 2, "the prepared file and its lock");
    }
}

#[test]
fn many_blocks_of_a_matlab_file() {
    let folder = folder();
    // Two full blocks and a part of one.
    let sample = Sample::new(2 * (BLOCK_BYTES / 1024) + 5, 3, 32, 32);
    let mat = Mat { big_endian: false };
    let bytes = mat.file(&[mat.compressed(&mat.dataset(&sample, &[(0, 48), (1, 49), (2, 50)]))]);
    fs::write(folder.path().join("shapes.mat"), bytes).unwrap();
    let source = find(folder.path(), None).unwrap();
    let dataset = Dataset::prepare(&source, folder.path(), Transpose::No).unwrap();
    assert!(dataset.train().images == sample.train.0 && dataset.test().images == sample.test.0);
}

#[test]
fn what_does_not_agree_is_an_error() {
    let sample = Sample::new(9, 4, 3, 2);
    let check = |file: &str, bytes: &[u8], shown: &str| {
        let folder = folder();
        sample.write_idx(folder.path(), "", true);
        fs::write(folder.path().join(format!("{file}.gz")), gz(bytes)).unwrap();
        let message = message_of(folder.path());
        assert!(message.contains(file) && message.contains(shown), "{message}");
        let cache = folder.path().join("cache");
        let left: Vec<_> = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(left.iter().all(|path| path.extension().unwrap() == "lock"), "{left:?}");
    };
    check("train-labels-idx1-ubyte", &idx(&[8], &[0; 8]), "8 labels; wanted 9, one for each image");
    check("test-labels-idx1-ubyte", &idx(&[4], &[0, 1, 3, 0]), "label 3 at image 2; wanted labels 0 to 2");
    check("test-images-idx3-ubyte", &idx(&[4, 3, 2], &[0; 24]), "images of 2×3 pixels; wanted 3×2");
    check("train-images-idx3-ubyte", &idx(&[9, 2, 3], &[0; 53]), "the end of the file within the images");
    check("test-images-idx3-ubyte", &idx(&[4, 2, 3], &[0; 25]), "more bytes after the last value");
}

#[test]
fn a_torn_cache_is_made_anew() {
    let folder = folder();
    Sample::new(9, 4, 3, 2).write_idx(folder.path(), "shapes-", false);
    let dataset = open(folder.path(), None).unwrap();
    let path = dataset.path().to_owned();
    let whole = fs::read(&path).unwrap();
    let tear = |bytes: &[u8], shown: &str| {
        fs::write(&path, bytes).unwrap();
        let message = Dataset::open(&path).unwrap_err().to_string();
        assert!(message.contains(shown) && message.contains(".u8: "), "{message}");
        open(folder.path(), None).unwrap().verify().unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
    };
    tear(&[], "found 0 bytes");
    tear(&whole[..100], "found 100 bytes; wanted a prepared data set");
    tear(&whole[..whole.len() - 1], &format!("{} bytes; wanted {} bytes", whole.len() - 1, whole.len()));
    tear(&[&whole[..], &[0]].concat(), &format!("{} bytes; wanted {} bytes", whole.len() + 1, whole.len()));
    let flip = |at: usize, with: u8| {
        let mut bytes = whole.clone();
        bytes[at] ^= with;
        bytes
    };
    tear(&flip(0, 1), "no finished header");
    tear(&flip(8, 3), "format version 2; wanted version 1");
    tear(&flip(30, 1), "a damaged header");
    tear(&[&[0; HEADER_BYTES][..], &whole[HEADER_BYTES..]].concat(), "no finished header");
    tear(&flip(whole.len() - 1, 0x40), "wanted classes below 3");
}

#[test]
fn a_flipped_pixel_is_found_by_verifying() {
    let folder = folder();
    Sample::new(9, 4, 3, 2).write_idx(folder.path(), "shapes-", false);
    let path = open(folder.path(), None).unwrap().path().to_owned();
    let mut bytes = fs::read(&path).unwrap();
    bytes[HEADER_BYTES + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let message = Dataset::open(&path).unwrap().verify().unwrap_err().to_string();
    assert!(message.contains("images and labels of digest"), "{message}");
}

#[test]
fn changed_files_make_the_cache_stale() {
    let folder = folder();
    let path = folder.path().join("shapes-train-images-idx3-ubyte");
    Sample::new(9, 4, 3, 2).write_idx(folder.path(), "shapes-", false);
    let first = open(folder.path(), None).unwrap();
    let first_inode = inode(&first);
    // Only the time changes.
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(1000)).unwrap();
    let second = open(folder.path(), None).unwrap();
    assert_eq!((first.path(), first.digest()), (second.path(), second.digest()));
    // The first is still mapped, so its inode can't have been given away.
    assert_ne!(inode(&second), first_inode);
    // Sizes and contents change.
    Sample::new(10, 4, 3, 2).write_idx(folder.path(), "shapes-", false);
    let third = open(folder.path(), None).unwrap();
    assert_eq!(third.train().len(), 10);
    // Who has mapped an older cache keeps it.
    assert_eq!(first.train().images, second.train().images);
}

#[test]
fn what_a_killed_writer_left_is_overwritten() {
    let folder = folder();
    Sample::new(9, 4, 3, 2).write_idx(folder.path(), "shapes-", false);
    let path = open(folder.path(), None).unwrap().path().to_owned();
    let temporary = PathBuf::from(format!("{}.tmp", path.display()));
    fs::rename(&path, &temporary).unwrap();
    fs::write(&temporary, vec![1; 100_000]).unwrap();
    open(folder.path(), None).unwrap().verify().unwrap();
    assert!(!temporary.exists());
}

#[test]
fn of_many_at_once_one_prepares() {
    let folder = folder();
    Sample::new(3000, 400, 28, 28).write_idx(folder.path(), "shapes-", true);
    let barrier = Barrier::new(8);
    // Every call opens the lock file itself, so threads stand for processes here.
    let inodes: Vec<_> = thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let dataset = open(folder.path(), None).unwrap();
                    dataset.verify().unwrap();
                    inode(&dataset)
                })
            })
            .collect();
        all.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(inodes.iter().all(|inode| *inode == inodes[0]), "{inodes:?}");
}
