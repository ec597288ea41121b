//! Files of data sets.

use std::cell::RefCell;
use std::fs::File;

use rustix::fs::{MemfdFlags, memfd_create};
use sgd_lib::dataset::{ChunkWriter, Manifest, Rebuild, Shape};
use sgd_lib::fuzzing;

/// IDX, plain or zipped.
pub(crate) fn idx(bytes: &[u8]) -> bool {
    fuzzing::idx(bytes)
}

/// MATLAB's version 5.
#[expect(clippy::expect_used, reason = "the fuzzer can't go on without")]
pub(crate) fn mat(bytes: &[u8]) -> bool {
    fuzzing::mat(bytes, &|| {
        File::from(memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("a file in memory can be made"))
    })
}

/// The header of a prepared file.
pub(crate) fn header(bytes: &[u8]) -> bool {
    fuzzing::prepared_header(bytes)
}

thread_local! {
    static WRITER: RefCell<Option<ChunkWriter>> = const { RefCell::new(None) };
}

/// A chunk of a data set: the first byte says whether checksums are to be mended. What does not fit leaves no trace, so
/// that one writer serves until a chunk fits.
pub(crate) fn chunk(bytes: &[u8]) -> bool {
    let Some((first, chunk)) = bytes.split_first() else { return false };
    WRITER.with_borrow_mut(|kept| {
        let mut writer = kept.take().unwrap_or_else(writer);
        let fits = fuzzing::chunk_fits(&mut writer, chunk, first % 2 == 1);
        assert_eq!(writer.next_index(), u32::from(fits));
        if !fits {
            *kept = Some(writer);
        }
        fits
    })
}

#[expect(clippy::expect_used, clippy::panic, reason = "the fuzzer can't go on without")]
fn writer() -> ChunkWriter {
    let manifest = Manifest {
        name: "fuzz".to_owned(),
        shape: Shape { width: 3, height: 2, classes: 2, train: 4, test: 2 },
        class_names: vec!["a".to_owned(), "b".to_owned()],
        digest: 7,
        chunks: 1,
    };
    let folder = tempfile::tempdir().expect("there is room for a folder");
    match ChunkWriter::start(folder.path(), &manifest).expect("the manifest fits") {
        Rebuild::Missing(writer) => *writer,
        Rebuild::Present(_) => panic!("an empty folder holds a data set"),
    }
}
