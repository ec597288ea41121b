//! Gets published files: the transfer and the archive they may come in.

mod archive;
mod transfer;

pub(crate) use archive::extract;
pub(crate) use transfer::{Remote, TransferError, fetch};
