//! What a worker leaves to its successor, in the store.

use std::sync::Arc;

use sgd_lib::downpour::Carried;
use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::{RUN_TTL, RunKeys, Store};

/// Leaves `carried`, unless a later holder of the worker's lease has left something already.
#[stateful(
    store = store,
    put(stored = "dp:{{{run}}}:carried:{worker}", default),
    ttl = RUN_TTL,
)]
pub(crate) async fn leave(
    store: &Arc<dyn Store>,
    run: &str,
    worker: u32,
    carried: Carried,
    stored: &mut Carried,
) -> Result<(), StateError> {
    debug_assert!(is_key(run, worker), "the key above is RunKeys::carried");
    if carried.supersedes(stored) {
        *stored = carried;
    }
    Ok(())
}

/// What was left last.
#[stateful(store = store, get(stored = "dp:{{{run}}}:carried:{worker}", default))]
pub(crate) async fn pick_up(
    store: &Arc<dyn Store>,
    run: &str,
    worker: u32,
    stored: Carried,
) -> Result<Carried, StateError> {
    debug_assert!(is_key(run, worker), "the key above is RunKeys::carried");
    Ok(stored)
}

fn is_key(run: &str, worker: u32) -> bool {
    RunKeys::new(run).is_ok_and(|keys| keys.carried(worker) == format!("dp:{{{run}}}:carried:{worker}"))
}
