//! Images and labels: readers, the prepared cache, the order of an epoch.
//!
//! ```text
//! folder ──find──▶ Source ──Dataset::prepare──▶ one u8 file, mapped ──▶ Split (train, test)
//!                  IDX or MATLAB                └─ chunks ─▶ a store ─▶ ChunkWriter ─▶ the same file elsewhere
//! ```
//!
//! Files are read once: upright, row-major pixels and classes from 0 land in a cache file that every
//! worker of a machine maps. Nothing here downloads, and paths always come from the caller.
//! `emnist-letters` publishes the labels 1 to 26: here they are the classes 0 to 25.

mod cache;
mod catalog;
mod chunks;
mod classes;
mod error;
pub(crate) mod fuzzing;
mod header;
mod idx;
mod images;
mod mat;
mod name;
mod order;
mod prepare;
mod shape;
mod source;
mod split;
#[cfg(test)]
mod test_files;
mod transpose;
mod writer;

pub use cache::Dataset;
pub use catalog::{Download, Published};
pub use chunks::{ChunkWriter, Chunks, Manifest, Rebuild};
pub use error::DatasetError;
pub use images::{Images, read_images, read_labels};
pub use name::Name;
pub use order::EpochOrder;
pub use shape::Shape;
pub use source::{Source, find};
pub use split::Split;
pub use transpose::Transpose;
