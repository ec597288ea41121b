//! What `downpour predict` and `downpour data get` read. The command line is a program, not a library, so these
//! files of it are compiled here, too.

use std::io::{Cursor, Read, copy, sink};
use std::path::Path;

#[allow(dead_code, reason = "only what reads bytes is used here; tests are the command line's")]
#[path = "../../cli/src/download/archive.rs"]
mod archive;
#[allow(dead_code, reason = "only what reads bytes is used here; tests are the command line's")]
#[path = "../../cli/src/images.rs"]
mod images;

/// A picture of 4 × 4 pixels.
pub(crate) fn png(bytes: &[u8]) -> bool {
    images::read_png(Cursor::new(bytes), 16).is_ok_and(|images| {
        assert_eq!((images.count, images.pixels.len()), (1, 16));
        true
    })
}

/// An archive of a data set.
pub(crate) fn zip(bytes: &[u8]) -> bool {
    let io_error = |source| archive::ArchiveError::Io { path: "fuzzed".into(), source };
    let take = |entry: &mut dyn Read, _: &str| {
        // No more than this is looked at: what an entry inflates to goes to the disk.
        copy(&mut entry.take(1 << 20), &mut sink()).map(drop).map_err(io_error)
    };
    archive::each_member(Cursor::new(bytes), Path::new("fuzzed"), "g/", &["a", "b"], take).is_ok()
}
