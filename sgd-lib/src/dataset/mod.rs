//! Images and labels: readers, the prepared cache, the order of an epoch.

mod split;

pub use split::Split;
