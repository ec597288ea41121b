//! The readers of data files, on bytes in memory. Each returns whether it took them for what they may be.

use std::fs::File;
use std::path::Path;

use super::chunks::ChunkWriter;
use super::header::{HEADER_BYTES, Header};
use super::idx::{IdxImages, labels_of_bytes};
use super::mat;

const PATH: &str = "fuzzed";

/// A file of images, or of labels.
pub fn idx(bytes: &[u8]) -> bool {
    let transposed = bytes.len() % 2 == 1;
    let images = IdxImages::of_bytes(Path::new(PATH), bytes, transposed).is_ok_and(|images| {
        let (mut read, count, pixels) = (0, images.count(), images.pixels());
        let whole = images.read_all(|image| {
            assert_eq!(image.len(), pixels);
            read += 1;
            Ok(())
        });
        assert!(read <= count && (whole.is_err() || read == count));
        whole.is_ok()
    });
    images || labels_of_bytes(Path::new(PATH), bytes).is_ok()
}

/// A MATLAB file, whose matrices go into files that `scratch` makes.
pub fn mat(bytes: &[u8], scratch: &dyn Fn() -> File) -> bool {
    let file = mat::read_from(Path::new(PATH), bytes, bytes.len() as u64, &|| Ok(scratch()));
    for split in file.iter().flat_map(|file| [&file.train, &file.test]) {
        let images = &split.images;
        let wanted = images.count() * images.count_columns() as u64;
        assert_eq!(images.file().metadata().map(|file| file.len()).ok(), Some(wanted));
    }
    file.is_ok()
}

/// The first page of a prepared file; `bytes` are put into one, with the checksum that it has to have.
pub fn prepared_header(bytes: &[u8]) -> bool {
    let mut page = [0; HEADER_BYTES];
    let (content, checksum) = page.split_at_mut(HEADER_BYTES - 4);
    for (place, byte) in content.iter_mut().zip(bytes) {
        *place = *byte;
    }
    checksum.copy_from_slice(&crc32fast::hash(content).to_le_bytes());
    let Ok(header) = Header::decode(&page) else { return false };
    let again = header.encode().ok().and_then(|page| Header::decode(&page).ok());
    assert_eq!(again, Some(header));
    true
}

/// Whether `chunk` is the one that `writer` waits for, which takes it then. `mended`: magic, place and checksums
/// are what they have to be, so that what they protect is looked at.
pub fn chunk_fits(writer: &mut ChunkWriter, chunk: &[u8], mended: bool) -> bool {
    if mended { writer.push(&writer.mended(chunk)).is_ok() } else { writer.push(chunk).is_ok() }
}
