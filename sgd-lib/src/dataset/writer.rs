//! Writing a prepared file so that nobody ever sees half of it.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use super::{
    Dataset, DatasetError, Shape,
    header::{HEADER_BYTES, Header},
};

/// The right to write one cache file, held by one process or thread at a time. The system releases it
/// when its holder dies.
pub(crate) struct CacheLock {
    target: PathBuf,
    /// The lock is on this open file and goes with it.
    _file: File,
}

impl CacheLock {
    /// Waits for the right to write `target`; makes its folder if need be.
    pub(crate) fn acquire(target: PathBuf) -> Result<Self, DatasetError> {
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(DatasetError::io(folder, "create the folder"))?;
        }
        let path = with_end(&target, ".lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(DatasetError::io(&path, "open"))?;
        file.lock().map_err(DatasetError::io(&path, "lock"))?;
        Ok(Self { target, _file: file })
    }

    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A file beside the target that is gone when it is closed, for data that memory should not hold.
    pub(crate) fn scratch(&self) -> Result<File, DatasetError> {
        let path = with_end(&self.target, ".scratch");
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path);
        let file = file.map_err(DatasetError::io(&path, "create"))?;
        fs::remove_file(&path).map_err(DatasetError::io(&path, "unlink"))?;
        Ok(file)
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The digest of a data set: feed it the payload.
pub(crate) fn digest_of(shape: &Shape) -> Xxh3 {
    let mut hash = Xxh3::new();
    for number in [shape.width.into(), shape.height.into(), shape.classes.into(), shape.train, shape.test] {
        hash.update(&u64::to_le_bytes(number));
    }
    hash
}

/// Writes a prepared file: the payload in order, then the header, then the file's name.
///
/// The payload is training images, test images, training labels, test labels. It goes to a temporary file
/// beside the target; only a whole one, on the disk, is renamed. What a killed writer left behind is
/// overwritten by the next, as the lock gives everybody the same temporary file.
pub(crate) struct CacheWriter {
    lock: CacheLock,
    temporary: PathBuf,
    file: BufWriter<File>,
    header: Header,
    hash: Xxh3,
    written: u64,
}

impl CacheWriter {
    pub(crate) fn create(
        lock: CacheLock,
        name: &str,
        shape: Shape,
        class_names: Vec<String>,
        fingerprint: u64,
    ) -> Result<Self, DatasetError> {
        let temporary = with_end(lock.target(), ".tmp");
        let file = File::create(&temporary).map_err(DatasetError::io(&temporary, "create"))?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        file.write_all(&[0; HEADER_BYTES]).map_err(DatasetError::io(&temporary, "write"))?;
        let header = Header { name: name.to_owned(), shape, class_names, zeros: 0, digest: 0, fingerprint };
        Ok(Self { lock, temporary, file, header, hash: digest_of(&shape), written: 0 })
    }

    /// Appends a part of the payload.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), DatasetError> {
        let train_left = self.header.shape.train_bytes().saturating_sub(self.written);
        let train = &bytes[..bytes.len().min(usize::try_from(train_left).unwrap_or(usize::MAX))];
        self.header.zeros += train.iter().filter(|pixel| **pixel == 0).count() as u64;
        self.hash.update(bytes);
        self.written += bytes.len() as u64;
        self.file.write_all(bytes).map_err(DatasetError::io(&self.temporary, "write"))
    }

    /// The digest of what has been written.
    pub(crate) fn digest(&self) -> u64 {
        self.hash.digest()
    }

    /// Puts everything on the disk under its name and opens it.
    pub(crate) fn finish(mut self) -> Result<Dataset, DatasetError> {
        let wanted = self.header.shape.payload_bytes();
        if self.written != wanted {
            let found = format!("{} bytes of images and labels", self.written);
            return Err(DatasetError::format(&self.temporary, found, format!("{wanted} bytes")));
        }
        self.header.digest = self.digest();
        let header = self
            .header
            .encode()
            .map_err(|error| DatasetError::format(&self.temporary, error.found, error.wanted))?;
        let written = || DatasetError::io(&self.temporary, "write");
        self.file.flush().map_err(written())?;
        let file = self.file.get_ref();
        // First the payload, then the header that vouches for it.
        file.sync_data().map_err(written())?;
        file.write_all_at(&header[..], 0).map_err(written())?;
        file.sync_all().map_err(written())?;
        let target = self.lock.target();
        fs::rename(&self.temporary, target)
            .map_err(DatasetError::io(target, "rename the finished file to"))?;
        let folder = target.parent().unwrap_or(target);
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(DatasetError::io(folder, "write the folder"))?;
        Dataset::open(target)
    }
}

impl Drop for CacheWriter {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; after an error, half a file. The lock is still held.
        let _ = fs::remove_file(&self.temporary);
    }
}
