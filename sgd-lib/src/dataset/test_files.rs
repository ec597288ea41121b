//! Files for the tests: generated ones, and where the real ones are.

use std::{fs, io::Write, path::Path};

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use tempfile::TempDir;

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// An IDX file of these sizes and values, whether or not they agree.
pub(crate) fn idx(sizes: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
    bytes.extend(values);
    bytes
}

pub(crate) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Pixels that differ from image to image and from place to place, a third of them 0.
pub(crate) fn pixels(count: usize, pixels: usize) -> Vec<u8> {
    (0..count * pixels).map(|at| if at % 3 == 0 { 0 } else { (at * 7 + at / 251) as u8 | 1 }).collect()
}

/// A small data set, as images and labels of both splits.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) train: (Vec<u8>, Vec<u8>),
    pub(crate) test: (Vec<u8>, Vec<u8>),
}

impl Sample {
    /// `train` and `test` images of `width × height` pixels in three classes.
    pub(crate) fn new(train: usize, test: usize, width: u32, height: u32) -> Self {
        let split = |count: usize| {
            let labels = (0..count).map(|index| (index % 3) as u8).collect();
            (pixels(count, (width * height) as usize), labels)
        };
        Self { width, height, train: split(train), test: split(test) }
    }

    /// Writes the four IDX files; the images go there as they are.
    pub(crate) fn write_idx(&self, folder: &Path, prefix: &str, zipped: bool) {
        for (role, (images, labels)) in [("train", &self.train), ("test", &self.test)] {
            let count = labels.len() as u32;
            let images = idx(&[count, self.height, self.width], images);
            let labels = idx(&[count], labels);
            for (kind, bytes) in [("images-idx3", images), ("labels-idx1", labels)] {
                let name = format!("{prefix}{role}-{kind}-ubyte");
                if zipped {
                    fs::write(folder.join(name + ".gz"), gz(&bytes)).unwrap();
                } else {
                    fs::write(folder.join(name), bytes).unwrap();
                }
            }
        }
    }
}

/// Writes MATLAB v5 elements.
#[derive(Clone, Copy)]
pub(crate) struct Mat {
    pub(crate) big_endian: bool,
}

impl Mat {
    pub(crate) fn word(self, number: u32) -> [u8; 4] {
        if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub(crate) fn element(self, kind: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        if (1..=4).contains(&payload.len()) && kind != 14 {
            bytes.extend(self.word((payload.len() as u32) << 16 | kind));
        } else {
            bytes.extend(self.word(kind));
            bytes.extend(self.word(payload.len() as u32));
        }
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    pub(crate) fn matrix(self, class: u32, sizes: &[u32], name: &str, contents: &[u8]) -> Vec<u8> {
        let words =
            |numbers: &[u32]| numbers.iter().flat_map(|number| self.word(*number)).collect::<Vec<_>>();
        let head = [
            self.element(6, &words(&[class, 0])),
            self.element(5, &words(sizes)),
            self.element(1, name.as_bytes()),
            contents.to_vec(),
        ];
        self.element(14, &head.concat())
    }

    pub(crate) fn structure(self, name: &str, fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut names = Vec::new();
        for (field, _) in fields {
            names.extend(field.as_bytes());
            names.resize(names.len().next_multiple_of(8), 0);
        }
        let mut contents = self.element(5, &self.word(8));
        contents.extend(self.element(1, &names));
        fields.iter().for_each(|(_, matrix)| contents.extend(matrix));
        self.matrix(2, &[1, 1], name, &contents)
    }

    /// `dataset.train` or `dataset.test`: `images` are rows here, columns in the file.
    fn split(self, (images, labels): &(Vec<u8>, Vec<u8>), pixels: usize) -> Vec<u8> {
        let count = labels.len();
        let columns: Vec<u8> =
            (0..pixels).flat_map(|pixel| (0..count).map(move |row| images[row * pixels + pixel])).collect();
        let writers = self.matrix(6, &[count as u32, 1], "", &self.element(4, &vec![0; 2 * count]));
        let labels = self.matrix(9, &[count as u32, 1], "", &self.element(2, labels));
        let images = self.matrix(9, &[count as u32, pixels as u32], "", &self.element(2, &columns));
        self.structure("", &[("writers", writers), ("images", images), ("labels", labels)])
    }

    pub(crate) fn dataset(self, sample: &Sample, mapping: &[(u32, u32)]) -> Vec<u8> {
        let pixels = (sample.width * sample.height) as usize;
        let numbers = mapping.iter().map(|pair| pair.0).chain(mapping.iter().map(|pair| pair.1));
        let doubles: Vec<u8> = numbers
            .map(f64::from)
            .flat_map(|number| if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() })
            .collect();
        let mapping = self.matrix(6, &[mapping.len() as u32, 2], "", &self.element(9, &doubles));
        self.structure(
            "dataset",
            &[
                ("test", self.split(&sample.test, pixels)),
                ("mapping", mapping),
                ("train", self.split(&sample.train, pixels)),
            ],
        )
    }

    pub(crate) fn compressed(self, element: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(element).unwrap();
        let deflated = encoder.finish().unwrap();
        [&self.word(15)[..], &self.word(deflated.len() as u32), &deflated].concat()
    }

    pub(crate) fn file(self, elements: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![b' '; 124];
        bytes.extend(if self.big_endian { *b"\x01\x00MI" } else { *b"\x00\x01IM" });
        bytes.extend(elements.concat());
        bytes
    }
}
