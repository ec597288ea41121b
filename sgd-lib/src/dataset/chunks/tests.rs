use std::{fs, path::PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::{
    Transpose, find,
    test_files::{Sample, folder},
};
use super::*;

fn prepared(sample: &Sample) -> (TempDir, Dataset) {
    let folder = folder();
    sample.write_idx(folder.path(), "shapes-", false);
    let source = find(folder.path(), None).unwrap();
    let dataset = Dataset::prepare(&source, &folder.path().join("cache"), Transpose::No).unwrap();
    (folder, dataset)
}

fn start(cache: &Path, manifest: &Manifest) -> Box<ChunkWriter> {
    match ChunkWriter::start(cache, manifest).unwrap() {
        Rebuild::Missing(writer) => writer,
        Rebuild::Present(dataset) => panic!("{} is there", dataset.name()),
    }
}

/// More than one chunk.
fn large() -> Sample {
    Sample::new(1700, 500, 28, 28)
}

fn rebuild(cache: &Path, manifest: &Manifest, chunks: &[Vec<u8>]) -> Result<Dataset, DatasetError> {
    let mut writer = start(cache, manifest);
    for chunk in chunks {
        writer.push(chunk)?;
    }
    writer.finish()
}

#[test]
fn chunks_rebuild_the_data_set() {
    let (_folder, dataset) = prepared(&large());
    let chunks: Vec<_> = dataset.chunks().collect();
    let manifest = dataset.manifest();
    assert_eq!((chunks.len(), manifest.chunks), (2, 2));
    let cache = folder();
    let rebuilt = rebuild(cache.path(), &manifest, &chunks).unwrap();
    assert_eq!(rebuilt.payload(), dataset.payload());
    assert_eq!(rebuilt.manifest(), manifest);
    assert_eq!(rebuilt.zero_share(), dataset.zero_share());
    rebuilt.verify().unwrap();
    // Now it is there, and after damage it is not.
    assert!(matches!(ChunkWriter::start(cache.path(), &manifest).unwrap(), Rebuild::Present(_)));
    fs::OpenOptions::new().write(true).open(rebuilt.path()).unwrap().set_len(9000).unwrap();
    assert!(matches!(ChunkWriter::start(cache.path(), &manifest).unwrap(), Rebuild::Missing(_)));
}

#[test]
fn a_bad_chunk_is_refused_and_may_come_again() {
    let (_folder, dataset) = prepared(&large());
    let chunks: Vec<_> = dataset.chunks().collect();
    let cache = folder();
    let mut writer = start(cache.path(), &dataset.manifest());
    let message = writer.push(&chunks[1]).unwrap_err().to_string();
    assert_eq!(message, "chunk 0: found chunk 1; wanted the chunks in order");
    for at in [0, 5, 9, 17, 21, 25, 29, 40, chunks[0].len() / 2, chunks[0].len() - 1] {
        let mut flipped = chunks[0].clone();
        flipped[at] ^= 0x10;
        assert!(writer.push(&flipped).is_err(), "byte {at}");
    }
    for end in [0, 31, 32, 500, chunks[0].len() - 1] {
        assert!(writer.push(&chunks[0][..end]).is_err(), "{end} bytes");
    }
    assert!(writer.push(&[&chunks[0][..], &[0]].concat()).is_err());
    assert_eq!(writer.next_index(), 0);
    writer.push(&chunks[0]).unwrap();
    let message = writer.push(&chunks[0]).unwrap_err().to_string();
    assert!(message.contains("chunk 1: found chunk 0"), "{message}");
    writer.push(&chunks[1]).unwrap();
    assert!(writer.push(&chunks[1]).unwrap_err().to_string().contains("one more chunk"));
    writer.finish().unwrap().verify().unwrap();
}

#[test]
fn a_writer_that_gives_up_leaves_no_data() {
    let (_folder, dataset) = prepared(&large());
    let cache = folder();
    let mut writer = start(cache.path(), &dataset.manifest());
    writer.push(&dataset.chunks().next().unwrap()).unwrap();
    let message = writer.finish().unwrap_err().to_string();
    assert_eq!(message, "chunk 1: found no chunk; wanted 2 chunks in all");
    let left: Vec<PathBuf> = fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| path.extension().unwrap() == "lock"), "{left:?}");
}

#[test]
fn chunks_of_another_data_set_are_refused() {
    let (_folder, dataset) = prepared(&Sample::new(5, 5, 3, 3));
    let (_other_folder, other) = prepared(&Sample::new(6, 4, 3, 3));
    let cache = folder();
    let message =
        rebuild(cache.path(), &dataset.manifest(), &other.chunks().collect::<Vec<_>>()).unwrap_err();
    assert!(message.to_string().contains(&format!("{:016x}", other.digest())), "{message}");
    // Chunks that claim the right digest but hold other data are found in the end.
    let forged = encode(0, dataset.digest(), other.payload());
    let message = rebuild(cache.path(), &dataset.manifest(), &[forged]).unwrap_err().to_string();
    assert!(message.contains("data of digest"), "{message}");
}

#[test]
fn a_manifest_out_of_bounds_is_refused() {
    let (_folder, dataset) = prepared(&Sample::new(5, 5, 3, 3));
    let good = dataset.manifest();
    let shape = good.shape;
    let bad = [
        (Manifest { chunks: 2, ..good.clone() }, "manifest: chunks is 2; wanted 1"),
        (Manifest { name: "../x".into(), ..good.clone() }, "manifest: name is \"../x\""),
        (Manifest { name: String::new(), ..good.clone() }, "manifest: name is"),
        (Manifest { class_names: vec![], ..good.clone() }, "class_names is 0 long; wanted 3"),
        (Manifest { shape: Shape { width: 0, ..shape }, ..good.clone() }, "width is 0"),
        (Manifest { shape: Shape { train: u64::MAX, ..shape }, ..good.clone() }, "training images is"),
        (Manifest { shape: Shape { height: 1 << 20, ..shape }, ..good }, "height is 1048576"),
    ];
    for (manifest, shown) in bad {
        let message = ChunkWriter::start(folder().path(), &manifest).unwrap_err().to_string();
        assert!(message.contains(shown), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_data_set_survives_chunking(train in 3usize..30, test in 1usize..9, width in 1u32..9, height in 1u32..9) {
        let (_folder, dataset) = prepared(&Sample::new(train, test, width, height));
        let cache = folder();
        let chunks: Vec<_> = dataset.chunks().collect();
        let rebuilt = rebuild(cache.path(), &dataset.manifest(), &chunks).unwrap();
        prop_assert_eq!(rebuilt.payload(), dataset.payload());
    }

    #[test]
    fn random_bytes_are_no_chunk(bytes: Vec<u8>) {
        let (_folder, dataset) = prepared(&Sample::new(1, 1, 1, 1));
        let cache = folder();
        prop_assert!(start(cache.path(), &dataset.manifest()).push(&bytes).is_err());
    }
}
