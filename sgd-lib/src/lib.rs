//! Distributed SGD whose workers keep all their state in a store.
//!
//! # Layout
//! Arrows point down only; nothing here knows of HTTP, of a command line or of
//! environment variables.
//!
//! | module | what it is for |
//! |---|---|
//! | [`downpour`] | the parameter log, leases, the worker loop, evaluation |
//! | [`state`] | typed values in a store; what `#[stateful]` expands to |
//! | [`store`] | the `Store` trait, in Redis and in memory |
//! | [`codec`] | how a parameter delta becomes bytes and comes back |
//! | [`dataset`] | readers, the prepared cache, the order of an epoch |
//! | [`optimizer`] | SGD, momentum, Adagrad, learning-rate schedules |
//! | [`network`] | layers, parameters, forward and backward |
//! | [`kernel`] | the arithmetic, and the only `unsafe` code but for mapping a file in [`dataset`] |

pub mod codec;
pub mod dataset;
pub mod downpour;
pub mod kernel;
pub mod network;
pub mod optimizer;
pub mod state;
pub mod store;

pub use sgd_macros::stateful;
