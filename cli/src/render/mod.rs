//! What commands show: tables, progress, lines of text or JSON.

pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod table;
