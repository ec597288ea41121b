//! The platform on this machine: a private Redis, the local gateway, and the stack deployed to it.

pub(crate) mod kubeconfig;
mod nodes;
pub(crate) mod payload_secret;
pub(crate) mod platform;
mod redis;
pub(crate) mod running;
pub(crate) mod signals;
pub(crate) mod stack;
pub(crate) mod store;
