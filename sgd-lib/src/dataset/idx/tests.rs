use std::{fs, path::PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::{
    DatasetError, Images, Transpose, read_images, read_labels,
    test_files::{folder, gz, idx, pixels},
};

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = folder();
    let path = folder.path().join("some-images");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn images_of(bytes: &[u8]) -> Result<Images, DatasetError> {
    let (_folder, path) = file(bytes);
    read_images(&path, Transpose::No)
}

fn message_of(bytes: &[u8]) -> String {
    let message = images_of(bytes).unwrap_err().to_string();
    assert!(message.contains("some-images") && message.contains("; wanted "), "{message}");
    message
}

#[test]
fn plain_and_zipped_files_hold_the_same() {
    let wanted = Images { count: 5, width: 4, height: 3, pixels: pixels(5, 12) };
    let bytes = idx(&[5, 3, 4], &wanted.pixels);
    assert_eq!(images_of(&bytes).unwrap(), wanted);
    assert_eq!(images_of(&gz(&bytes)).unwrap(), wanted);
    // A gzip file may have several members.
    assert_eq!(images_of(&[gz(&bytes[..30]), gz(&bytes[30..])].concat()).unwrap(), wanted);
}

#[test]
fn transposed_files_are_turned_upright() {
    // Stored: 2 rows of 3, so upright 2 wide and 3 high.
    let (_folder, path) = file(&idx(&[1, 2, 3], &[0, 1, 2, 3, 4, 5]));
    let images = read_images(&path, Transpose::Yes).unwrap();
    assert_eq!(images, Images { count: 1, width: 2, height: 3, pixels: vec![0, 3, 1, 4, 2, 5] });
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = idx(&[2, 3, 4], &pixels(2, 12));
    let zipped = gz(&bytes);
    for end in 0..bytes.len() {
        message_of(&bytes[..end]);
    }
    for end in 0..zipped.len() {
        message_of(&zipped[..end]);
    }
    // Whole as a gzip file, but short of images.
    assert!(message_of(&gz(&bytes[..30])).contains("the end of the file within the images"));
}

#[test]
fn bytes_left_over_are_an_error() {
    let bytes = idx(&[2, 3, 4], &pixels(3, 12));
    assert!(message_of(&bytes).contains("found 52 bytes; wanted 40 bytes"));
    assert!(message_of(&gz(&bytes)).contains("more bytes after the last value"));
    let after = [gz(&idx(&[2, 3, 4], &pixels(2, 12))), vec![1, 2, 3]].concat();
    assert!(
        message_of(&after).contains("damaged gzip data") || message_of(&after).contains("end of the file")
    );
}

#[test]
fn a_damaged_gzip_file_is_an_error() {
    let mut bytes = gz(&idx(&[2, 3, 4], &pixels(2, 12)));
    let crc = bytes.len() - 8;
    bytes[crc] ^= 1;
    assert!(message_of(&bytes).contains("damaged gzip data at the end"));
}

#[test]
fn a_wrong_magic_is_shown() {
    let (_folder, path) = file(&idx(&[3], &[0, 1, 2]));
    let message = read_images(&path, Transpose::No).unwrap_err().to_string();
    assert!(message.contains("found the magic number 0x00000801; wanted 0x00000803"), "{message}");
    let (_folder, path) = file(&idx(&[1, 1, 1], &[0]));
    let message = read_labels(&path).unwrap_err().to_string();
    assert!(message.contains("found the magic number 0x00000803; wanted 0x00000801"), "{message}");
}

#[test]
fn sizes_beyond_the_file_or_the_limits_are_refused_before_memory_is_taken() {
    for sizes in [[u32::MAX; 3], [1, 1 << 11, 1], [0, 28, 28], [5, 0, 28], [1 << 25, 1, 1]] {
        let bytes = idx(&sizes, &[0; 64]);
        assert!(message_of(&bytes).contains("the sizes ["), "{sizes:?}");
        assert!(message_of(&gz(&bytes)).contains("the sizes ["), "{sizes:?}");
    }
    // 16 million images can't be in a gzip file of 40 bytes.
    let bytes = gz(&idx(&[1 << 24, 28, 28], &[0; 64]));
    assert!(message_of(&bytes).contains("wanted sizes that the file can hold"));
}

#[test]
fn labels_come_as_stored() {
    for bytes in [idx(&[4], &[0, 46, 1, 255]), gz(&idx(&[4], &[0, 46, 1, 255]))] {
        let (_folder, path) = file(&bytes);
        assert_eq!(read_labels(&path).unwrap(), [0, 46, 1, 255]);
    }
    let (_folder, path) = file(&idx(&[4], &[0, 46, 1]));
    assert!(read_labels(&path).unwrap_err().to_string().contains("found 11 bytes; wanted 12 bytes"));
}

#[test]
fn a_missing_file_is_named() {
    let message = read_labels(&PathBuf::from("/nowhere/labels")).unwrap_err().to_string();
    assert!(message.starts_with("/nowhere/labels: can't open: "), "{message}");
}

proptest! {
    #[test]
    fn what_was_written_is_read(count in 1u32..20, width in 1u32..9, height in 1u32..9, zip: bool) {
        let pixels = pixels(count as usize, (width * height) as usize);
        let bytes = idx(&[count, height, width], &pixels);
        let images = images_of(&if zip { gz(&bytes) } else { bytes }).unwrap();
        prop_assert_eq!((images.count, images.width, images.height), (count as usize, width as usize, height as usize));
        prop_assert_eq!(images.pixels, pixels);
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, magic in 0usize..3, zip: bool) {
        let start: &[u8] = [&[][..], &[0, 0, 8, 3], &[0x1f, 0x8b, 8, 0]][magic];
        let bytes = [start, &bytes].concat();
        let (_folder, path) = file(&if zip { gz(&bytes) } else { bytes });
        let _ = read_images(&path, Transpose::Yes);
        let _ = read_labels(&path);
    }
}
