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

/// Keeps arguments of an async function in a store.
///
/// ```
/// use std::sync::Arc;
///
/// use sgd_lib::state::StateError;
/// use sgd_lib::stateful;
/// use sgd_lib::store::Store;
///
/// /// Takes the next free number of a run.
/// #[stateful(
///     store = store,
///     get(limit = "dp:{{{run}}}:limit"),
///     put(taken = "dp:{{{run}}}:taken", default),
/// )]
/// async fn take(
///     store: &Arc<dyn Store>,
///     run: &str,
///     limit: &u64,
///     taken: &mut u64,
/// ) -> Result<Option<u64>, StateError> {
///     if *taken == *limit {
///         return Ok(None);
///     }
///     *taken += 1;
///     Ok(Some(*taken - 1))
/// }
///
/// async fn caller(store: &Arc<dyn Store>) -> Result<(), StateError> {
///     let number = take(store, "r1").await?;
///     Ok(())
/// }
/// ```
///
/// A body that may run again can't take what can't be copied:
///
/// ```compile_fail,E0277
/// # use std::sync::Arc;
/// # use sgd_lib::{state::StateError, stateful, store::Store};
/// struct Socket;
///
/// #[stateful(store = store, put(count = "count", default))]
/// async fn send(store: &Arc<dyn Store>, socket: Socket, count: &mut u64) -> Result<(), StateError> {
///     Ok(())
/// }
/// ```
///
/// The error must be able to hold a [`StateError`](state::StateError):
///
/// ```compile_fail,E0277
/// # use std::sync::Arc;
/// # use sgd_lib::{stateful, store::Store};
/// #[stateful(store = store, put(count = "count", default))]
/// async fn send(store: &Arc<dyn Store>, count: &mut u64) -> Result<(), std::fmt::Error> {
///     Ok(())
/// }
/// ```
pub use sgd_macros::stateful;

/// Decoders of what comes from files, connections and stores, on bytes in memory, with what has to hold for
/// whatever they are given: for the package `fuzz`, nobody else.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::dataset::fuzzing::{chunk_fits, idx, mat, prepared_header};
    pub use crate::downpour::fuzzing::{STATES, state};
    pub use crate::store::fuzzing::{log_reply, reply};
}

/// What the code that [`macro@stateful`] generates calls; nobody else should.
#[doc(hidden)]
pub mod __private {
    pub use crate::state::call::Call;
}
