//! A prepared data set in pieces, for a store.
//!
//! A chunk is a header of 32 bytes and deflated payload. Little-endian: magic (4), index (4), the data
//! set's digest (8), length of the payload it inflates to (4), CRC-32 of the deflated bytes (4), CRC-32 of
//! the header's first 24 bytes (4), zeros (4).

use std::{io::Write, path::Path};

use flate2::{Compression, Decompress, FlushDecompress, Status, write::DeflateEncoder};
use serde::{Deserialize, Serialize};

use super::{
    Dataset, DatasetError, Shape,
    source::{MAX_NAME_BYTES, is_name_character},
    writer::{CacheLock, CacheWriter},
};

/// Payload bytes in every chunk but the last.
const CHUNK_BYTES: usize = 1 << 20;
const HEADER_BYTES: usize = 32;
const MAGIC: [u8; 4] = *b"DPCH";

/// Describes a data set in chunks: enough to rebuild it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The data set's name.
    pub name: String,
    /// Its sizes.
    pub shape: Shape,
    /// What each class shows.
    pub class_names: Vec<String>,
    /// [`Dataset::digest`] of what the chunks rebuild.
    pub digest: u64,
    /// Number of chunks.
    pub chunks: u32,
}

impl Manifest {
    /// Checks every field against the limits.
    pub(crate) fn check(&self) -> Result<(), DatasetError> {
        let error =
            |field, found: String, wanted: String| Err(DatasetError::Manifest { field, found, wanted });
        if let Err(bounds) = self.shape.check() {
            return error(bounds.field, bounds.found.to_string(), bounds.wanted);
        }
        // The name becomes a file name.
        let clean = self.name.chars().all(is_name_character);
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES || !clean {
            let wanted = format!("1 to {MAX_NAME_BYTES} letters, digits, - _ .");
            return error("name", format!("{:?}", self.name), wanted);
        }
        let chunks = self.shape.payload_bytes().div_ceil(CHUNK_BYTES as u64);
        if u64::from(self.chunks) != chunks {
            return error("chunks", self.chunks.to_string(), chunks.to_string());
        }
        if self.class_names.len() != self.shape.classes as usize {
            return error(
                "class_names",
                format!("{} long", self.class_names.len()),
                self.shape.classes.to_string(),
            );
        }
        Ok(())
    }
}

impl Dataset {
    /// What a rebuilder must know; [`Dataset::chunks`] are the rest.
    pub fn manifest(&self) -> Manifest {
        let header = self.header();
        // The limits of a shape keep this within u32.
        let chunks = self.payload().len().div_ceil(CHUNK_BYTES) as u32;
        Manifest {
            name: header.name.clone(),
            shape: header.shape,
            class_names: header.class_names.clone(),
            digest: header.digest,
            chunks,
        }
    }

    /// The data set in compressed chunks of 1 MiB each before compression, in order.
    pub fn chunks(&self) -> Chunks<'_> {
        Chunks { digest: self.digest(), payload: self.payload().chunks(CHUNK_BYTES), index: 0 }
    }
}

/// The chunks of a data set; see [`Dataset::chunks`].
#[derive(Debug)]
pub struct Chunks<'a> {
    digest: u64,
    payload: std::slice::Chunks<'a, u8>,
    index: u32,
}

impl Iterator for Chunks<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let chunk = encode(self.index, self.digest, self.payload.next()?);
        self.index += 1;
        Some(chunk)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.payload.size_hint()
    }
}

impl ExactSizeIterator for Chunks<'_> {}

#[expect(clippy::expect_used, reason = "writing into a Vec can't fail")]
fn encode(index: u32, digest: u64, payload: &[u8]) -> Vec<u8> {
    let mut deflate = DeflateEncoder::new(vec![0; HEADER_BYTES], Compression::fast());
    let chunk = deflate.write_all(payload).and_then(|()| deflate.finish()).expect("a Vec takes every byte");
    frame(index, digest, payload.len(), chunk)
}

/// Fills in the header before deflated bytes.
fn frame(index: u32, digest: u64, payload: usize, mut chunk: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&chunk[HEADER_BYTES..]);
    chunk[..4].copy_from_slice(&MAGIC);
    chunk[4..8].copy_from_slice(&index.to_le_bytes());
    chunk[8..16].copy_from_slice(&digest.to_le_bytes());
    chunk[16..20].copy_from_slice(&(payload as u32).to_le_bytes());
    chunk[20..24].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32fast::hash(&chunk[..24]);
    chunk[24..28].copy_from_slice(&crc.to_le_bytes());
    chunk
}

/// What is needed to have the data set of a manifest.
#[derive(Debug)]
pub enum Rebuild {
    /// Nothing: it is in the cache.
    Present(Dataset),
    /// Its chunks.
    Missing(Box<ChunkWriter>),
}

/// Rebuilds a prepared file from chunks that arrive one by one, in order.
pub struct ChunkWriter {
    writer: CacheWriter,
    manifest: Manifest,
    /// The next chunk's index.
    index: u32,
    payload: Vec<u8>,
}

impl ChunkWriter {
    /// Looks for the data set in `cache_dir`; where it is not there (whole), gets ready to rebuild it.
    /// Where another process is at it, waits until that has finished.
    ///
    /// # Errors
    /// The manifest is out of bounds, or the cache can't be written.
    pub fn start(cache_dir: &Path, manifest: &Manifest) -> Result<Rebuild, DatasetError> {
        manifest.check()?;
        let target = cache_dir.join(format!("{}-chunks-{:016x}.u8", manifest.name, manifest.digest));
        let present =
            |path: &Path| Dataset::open(path).ok().filter(|found| found.digest() == manifest.digest);
        if let Some(dataset) = present(&target) {
            return Ok(Rebuild::Present(dataset));
        }
        let lock = CacheLock::acquire(target)?;
        if let Some(dataset) = present(lock.target()) {
            return Ok(Rebuild::Present(dataset));
        }
        let Manifest { name, shape, class_names, digest, .. } = manifest;
        let writer = CacheWriter::create(lock, name, *shape, class_names.clone(), *digest)?;
        let payload = vec![0; CHUNK_BYTES];
        Ok(Rebuild::Missing(Box::new(Self { writer, manifest: manifest.clone(), index: 0, payload })))
    }

    /// The chunk that is due with what follows the header in `chunk`.
    pub(super) fn mended(&self, chunk: &[u8]) -> Vec<u8> {
        let deflated = chunk.get(HEADER_BYTES..).unwrap_or_default();
        frame(self.index, self.manifest.digest, self.due(), [&[0; HEADER_BYTES], deflated].concat())
    }

    /// The index of the chunk that is due.
    pub fn next_index(&self) -> u32 {
        self.index
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// It is damaged, is not the next one, or belongs to another data set. Nothing of it is kept then, and
    /// it may be given again.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), DatasetError> {
        if self.index == self.manifest.chunks {
            return Err(self.error("one more chunk", format!("{} chunks in all", self.manifest.chunks)));
        }
        let due = self.due();
        self.check_header(chunk, due)?;
        self.inflate(&chunk[HEADER_BYTES..], due)?;
        self.writer.write(&self.payload[..due])?;
        self.index += 1;
        Ok(())
    }

    /// Bytes of payload in the chunk that is due.
    fn due(&self) -> usize {
        let before = u64::from(self.index) * CHUNK_BYTES as u64;
        self.manifest.shape.payload_bytes().saturating_sub(before).min(CHUNK_BYTES as u64) as usize
    }

    /// Puts the data set in the cache and opens it.
    ///
    /// # Errors
    /// Chunks are missing, they do not make up the manifest's data set, or the cache can't be written.
    pub fn finish(self) -> Result<Dataset, DatasetError> {
        if self.index != self.manifest.chunks {
            return Err(self.error("no chunk", format!("{} chunks in all", self.manifest.chunks)));
        }
        if self.writer.digest() != self.manifest.digest {
            let found = format!("data of digest {:016x}", self.writer.digest());
            return Err(self.error(found, format!("digest {:016x}", self.manifest.digest)));
        }
        self.writer.finish()
    }

    /// Checks a chunk's header, and its checksum.
    fn check_header(&self, chunk: &[u8], due: usize) -> Result<(), DatasetError> {
        let Some(header) = chunk.first_chunk::<HEADER_BYTES>() else {
            return Err(self.error(format!("{} bytes", chunk.len()), format!("more than {HEADER_BYTES}")));
        };
        let word =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        if header[..4] != MAGIC || word(24) != crc32fast::hash(&header[..24]) || word(28) != 0 {
            return Err(self.error("no chunk's header", "a whole one"));
        }
        let digest = u64::from(word(12)) << 32 | u64::from(word(8));
        if digest != self.manifest.digest {
            let wanted = format!("of {:016x}", self.manifest.digest);
            return Err(self.error(format!("a chunk of the data set {digest:016x}"), wanted));
        }
        if word(4) != self.index {
            return Err(self.error(format!("chunk {}", word(4)), "the chunks in order"));
        }
        if word(16) as usize != due {
            return Err(self.error(format!("{} bytes", word(16)), format!("{due} bytes")));
        }
        if word(20) != crc32fast::hash(&chunk[HEADER_BYTES..]) {
            return Err(self.error("damaged data", "data that fit their checksum"));
        }
        Ok(())
    }

    /// Inflates exactly `due` bytes, and nothing is left over.
    fn inflate(&mut self, deflated: &[u8], due: usize) -> Result<(), DatasetError> {
        let mut inflate = Decompress::new(false);
        let mut status = inflate.decompress(deflated, &mut self.payload[..due], FlushDecompress::Finish);
        if matches!(status, Ok(Status::Ok | Status::BufError)) && inflate.total_out() == due as u64 {
            // The output is full, the end marker may be still to come: no room for anything else.
            let rest = &deflated[inflate.total_in() as usize..];
            status = inflate.decompress(rest, &mut [], FlushDecompress::Finish);
        }
        let whole = matches!(status, Ok(Status::StreamEnd));
        if whole && inflate.total_out() == due as u64 && inflate.total_in() == deflated.len() as u64 {
            return Ok(());
        }
        let found = format!("{} bytes that inflate to {}", inflate.total_in(), inflate.total_out());
        Err(self.error(found, format!("{} that inflate to {due}", deflated.len())))
    }

    fn error(&self, found: impl Into<String>, wanted: impl Into<String>) -> DatasetError {
        DatasetError::Chunk { index: self.index, found: found.into(), wanted: wanted.into() }
    }
}

impl std::fmt::Debug for ChunkWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ChunkWriter")
            .field("manifest", &self.manifest)
            .field("index", &self.index)
            .finish()
    }
}

#[cfg(test)]
mod tests;
