//! Preparing takes little memory, however large the files are. Alone in its process, as it counts every
//! allocation.

#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::Write,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};
use sgd_lib::dataset::{ChunkWriter, Dataset, Name, Rebuild, Transpose, find};

/// The system's allocator, with the bytes in use and the most there ever were.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator is unsafe by nature; this one only counts")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(USED.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory that `work` uses at once, beyond what was in use.
fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = USED.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed) - before)
}

const IMAGES: u32 = 60_000;
const LIMIT: usize = 4 << 20;

/// Streams an IDX file of `count` images (47 MB for 60,000) and its labels.
fn write_idx(folder: &Path, role: &str, count: u32) {
    let create = |kind: &str| {
        let file = std::fs::File::create(folder.join(format!("{role}-{kind}-ubyte.gz"))).unwrap();
        GzEncoder::new(file, Compression::fast())
    };
    let mut images = create("images-idx3");
    images
        .write_all(&[&[0, 0, 8, 3][..], &count.to_be_bytes(), &[0, 0, 0, 28, 0, 0, 0, 28]].concat())
        .unwrap();
    (0..count).for_each(|index| images.write_all(&[index as u8; 784]).unwrap());
    images.finish().unwrap();
    let mut labels = create("labels-idx1");
    labels.write_all(&[&[0, 0, 8, 1][..], &count.to_be_bytes()].concat()).unwrap();
    (0..count).for_each(|index| labels.write_all(&[index as u8 % 10]).unwrap());
    labels.finish().unwrap();
}

fn element(kind: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (payload.len() as u32).to_le_bytes()].concat();
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn matrix(class: u8, sizes: [u32; 2], name: &str, contents: &[u8]) -> Vec<u8> {
    let flags = element(6, &[class, 0, 0, 0, 0, 0, 0, 0]);
    let sizes = element(5, &[sizes[0].to_le_bytes(), sizes[1].to_le_bytes()].concat());
    element(14, &[flags, sizes, element(1, name.as_bytes()), contents.to_vec()].concat())
}

fn structure(name: &str, fields: [(&str, Vec<u8>); 2]) -> Vec<u8> {
    let names: Vec<u8> = fields.iter().flat_map(|(field, _)| format!("{field:\0<8}").into_bytes()).collect();
    let matrices = fields.map(|(_, matrix)| matrix).concat();
    matrix(2, [1, 1], name, &[element(5, &8u32.to_le_bytes()), element(1, &names), matrices].concat())
}

/// Writes the same images as one MATLAB file.
fn write_mat(path: &Path) {
    let split = |count: u32| {
        let images: Vec<u8> = (0..784).flat_map(|_| (0..count).map(|index| index as u8)).collect();
        let labels: Vec<u8> = (0..count).map(|index| index as u8 % 10).collect();
        let images = matrix(9, [count, 784], "", &element(2, &images));
        structure("", [("images", images), ("labels", matrix(9, [count, 1], "", &element(2, &labels)))])
    };
    let dataset = structure("dataset", [("train", split(IMAGES)), ("test", split(100))]);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
    zlib.write_all(&dataset).unwrap();
    let deflated = zlib.finish().unwrap();
    let header = [&[b' '; 124][..], b"\x00\x01IM"].concat();
    let tag = [15u32.to_le_bytes(), (deflated.len() as u32).to_le_bytes()].concat();
    std::fs::write(path, [header, tag, deflated].concat()).unwrap();
}

#[test]
fn preparing_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    write_idx(folder.path(), "train", IMAGES);
    write_idx(folder.path(), "test", 100);
    write_mat(&folder.path().join("large.mat"));
    let cache = folder.path().join("cache");
    let source = find(&folder.path().join("large.mat"), None).unwrap();
    let (from_mat, bytes) = peak_of(|| Dataset::prepare(&source, &cache, Transpose::Auto).unwrap());
    assert!(bytes < LIMIT, "{bytes} bytes for a MATLAB file");
    let source = find(folder.path(), Some(Name::Mnist)).unwrap();
    let (from_idx, bytes) = peak_of(|| Dataset::prepare(&source, &cache, Transpose::Auto).unwrap());
    assert!(bytes < LIMIT, "{bytes} bytes for IDX files");
    assert_eq!(from_idx.digest(), from_mat.digest());
    let elsewhere = folder.path().join("elsewhere");
    let (rebuilt, bytes) = peak_of(|| {
        let Rebuild::Missing(mut writer) = ChunkWriter::start(&elsewhere, &from_idx.manifest()).unwrap()
        else {
            panic!("the folder is new");
        };
        from_idx.chunks().for_each(|chunk| writer.push(&chunk).unwrap());
        writer.finish().unwrap()
    });
    assert!(bytes < LIMIT, "{bytes} bytes for chunks");
    assert_eq!(rebuilt.digest(), from_idx.digest());
}
