//! What commands show: tables, progress, lines of text or JSON.

pub(crate) mod output;
#[expect(dead_code, reason = "fed by train")]
pub(crate) mod progress;
pub(crate) mod table;
