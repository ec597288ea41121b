use std::{fs, os::unix::fs::FileExt};

use proptest::prelude::*;

use super::super::test_files::{Mat, Sample, folder};
use super::*;

const LITTLE: Mat = Mat { big_endian: false };
const BIG: Mat = Mat { big_endian: true };
const MAPPING: [(u32, u32); 3] = [(0, 48), (1, 65), (2, 97)];

fn parse(bytes: &[u8]) -> Result<MatFile, DatasetError> {
    let folder = folder();
    let path = folder.path().join("emnist.mat");
    fs::write(&path, bytes).unwrap();
    read(&path, &|| Ok(tempfile::tempfile().unwrap()))
}

fn message_of(bytes: &[u8]) -> String {
    let message = parse(bytes).err().unwrap().to_string();
    assert!(message.contains("emnist.mat: found ") && message.contains("; wanted "), "{message}");
    message
}

fn rows(columns: &Columns) -> Vec<u8> {
    let (count, pixels) = (columns.count() as usize, columns.count_columns());
    let mut stored = vec![0; count * pixels];
    columns.file().read_exact_at(&mut stored, 0).unwrap();
    (0..count)
        .flat_map(|row| (0..pixels).map(move |pixel| pixel * count + row))
        .map(|at| stored[at])
        .collect()
}

fn assert_holds(bytes: &[u8], sample: &Sample) {
    let mat = parse(bytes).unwrap();
    for (split, wanted) in [(&mat.train, &sample.train), (&mat.test, &sample.test)] {
        assert_eq!(rows(&split.images), wanted.0);
        assert_eq!(split.labels, wanted.1);
    }
    assert_eq!(mat.mapping.unwrap(), MAPPING);
}

#[test]
fn both_byte_orders_compressed_or_not() {
    let sample = Sample::new(7, 3, 4, 4);
    for mat in [LITTLE, BIG] {
        let dataset = mat.dataset(&sample, &MAPPING);
        assert_holds(&mat.file(std::slice::from_ref(&dataset)), &sample);
        assert_holds(&mat.file(&[mat.compressed(&dataset)]), &sample);
    }
}

#[test]
fn other_variables_are_passed_over() {
    let sample = Sample::new(2, 2, 2, 2);
    let other = LITTLE.matrix(6, &[1, 1], "other", &LITTLE.element(9, &[0; 8]));
    let empty = LITTLE.element(14, &[]);
    let dataset = LITTLE.compressed(&LITTLE.dataset(&sample, &MAPPING));
    let bytes = LITTLE.file(&[LITTLE.compressed(&other), other, empty, dataset]);
    assert_holds(&bytes, &sample);
}

#[test]
fn every_truncation_is_an_error() {
    let dataset = LITTLE.dataset(&Sample::new(3, 2, 2, 2), &MAPPING);
    for file in [LITTLE.file(std::slice::from_ref(&dataset)), LITTLE.file(&[LITTLE.compressed(&dataset)])] {
        for end in 0..file.len() {
            message_of(&file[..end]);
        }
    }
}

#[test]
fn bytes_left_over_are_an_error() {
    let dataset = LITTLE.dataset(&Sample::new(3, 2, 2, 2), &MAPPING);
    message_of(&[LITTLE.file(std::slice::from_ref(&dataset)), vec![0; 3]].concat());
    let inside = LITTLE.compressed(&[dataset.clone(), vec![0; 8]].concat());
    assert!(message_of(&LITTLE.file(&[inside])).contains("more bytes after the compressed matrix"));
    let mut after = LITTLE.compressed(&dataset);
    after.extend([0; 8]);
    let size = after.len() as u32 - 8;
    after[4..8].copy_from_slice(&LITTLE.word(size));
    assert!(message_of(&LITTLE.file(&[after])).contains("8 bytes after the compressed data"));
}

#[test]
fn headers_of_other_formats_are_told_apart() {
    let good = LITTLE.file(&[]);
    assert!(message_of(&good).contains("no variable `dataset`"));
    let mut hdf5 = good.clone();
    hdf5[125] = 2;
    assert!(message_of(&hdf5).contains("version 7.3 (HDF5)"));
    let mut odd = good.clone();
    odd[124] = 9;
    assert!(message_of(&odd).contains("version 0x0109"));
    let mut order = good;
    order[126] = b'X';
    assert!(message_of(&order).contains("byte order mark"));
    assert!(message_of(b"PNG").contains("found 3 bytes"));
}

/// A file whose `dataset` has these fields.
fn with_fields(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    LITTLE.file(&[LITTLE.compressed(&LITTLE.structure("dataset", fields))])
}

fn split(images: Vec<u8>, labels: Vec<u8>) -> Vec<u8> {
    with_fields(&[("train", LITTLE.structure("", &[("images", images), ("labels", labels)]))])
}

fn bytes(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    LITTLE.matrix(9, sizes, "", &LITTLE.element(2, values))
}

#[test]
fn sizes_must_fit_the_data_and_the_limits() {
    let labels = bytes(&[2, 1], &[0, 1]);
    for (sizes, shown) in [
        (&[2, 5][..], "8 bytes of type 2 in `dataset.train.images`; wanted 10 bytes"),
        (&[u32::MAX, u32::MAX], "found 4294967295×4294967295"),
        (&[0, 4], "found 0×4"),
        (&[2, 2, 2], "the sizes [2, 2, 2] in `dataset.train.images`"),
    ] {
        let message = message_of(&split(bytes(sizes, &[7; 8]), labels.clone()));
        assert!(message.contains(shown), "{message}");
    }
    let message = message_of(&split(bytes(&[2, 4], &[7; 8]), bytes(&[3, 1], &[0; 3])));
    assert!(message.contains("3 labels in `dataset.train.labels`; wanted 2"), "{message}");
    let message = message_of(&split(bytes(&[2, 4], &[7; 8]), bytes(&[2, 2], &[0; 4])));
    assert!(message.contains("2×2 in `dataset.train.labels`"), "{message}");
}

#[test]
fn a_size_beyond_what_encloses_it_is_refused() {
    let mut dataset = LITTLE.dataset(&Sample::new(3, 2, 2, 2), &MAPPING);
    dataset[4..8].copy_from_slice(&LITTLE.word(u32::MAX));
    assert!(
        message_of(&LITTLE.file(std::slice::from_ref(&dataset))).contains("an element of 4294967295 bytes")
    );
    assert!(
        message_of(&LITTLE.file(&[LITTLE.compressed(&dataset)])).contains("an element of 4294967295 bytes")
    );
}

#[test]
fn odd_contents_are_named() {
    let images = bytes(&[1, 4], &[1; 4]);
    assert!(
        message_of(&with_fields(&[])).contains("field names")
            || message_of(&with_fields(&[])).contains("no `dataset")
    );
    assert!(
        message_of(&split(images.clone(), LITTLE.element(14, &[])))
            .contains("nothing in `dataset.train.labels`")
    );
    let double = |number: f64| LITTLE.matrix(6, &[1, 1], "", &LITTLE.element(9, &number.to_le_bytes()));
    assert!(
        message_of(&split(images.clone(), double(300.0))).contains("label 300 in `dataset.train.labels`")
    );
    for number in [f64::NAN, 0.5, -1.0] {
        assert!(message_of(&split(images.clone(), double(number))).contains("a whole number from 0"));
    }
    let train = LITTLE.structure("", &[("images", images), ("labels", bytes(&[1, 1], &[0]))]);
    assert!(message_of(&with_fields(&[("train", train.clone())])).contains("no `dataset.test`"));
    let mapping = bytes(&[1, 9], &[0; 9]);
    let message =
        message_of(&with_fields(&[("train", train.clone()), ("test", train), ("mapping", mapping)]));
    assert!(message.contains("1×9 in `dataset.mapping`"), "{message}");
    let text = LITTLE.matrix(4, &[1, 1], "dataset", &LITTLE.element(4, &[65, 0]));
    assert!(message_of(&LITTLE.file(&[text])).contains("class 4"));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(tail: Vec<u8>, zip: bool) {
        let _ = parse(&LITTLE.file(&[if zip { LITTLE.compressed(&tail) } else { tail }]));
    }

    #[test]
    fn flipped_bytes_never_panic(at: prop::sample::Index, with in 1u8.., big_endian: bool, zip: bool) {
        let mat = Mat { big_endian };
        let mut dataset = mat.dataset(&Sample::new(3, 2, 2, 2), &MAPPING);
        let index = at.index(dataset.len());
        dataset[index] ^= with;
        let _ = parse(&mat.file(&[if zip { mat.compressed(&dataset) } else { dataset }]));
    }
}
