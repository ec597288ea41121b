//! Platforms elsewhere: how their gateway and their store are named and opened.

pub(crate) mod access;
pub(crate) mod gateway;
mod login;
