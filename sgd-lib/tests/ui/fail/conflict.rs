#![allow(unused)]

use std::sync::Arc;

use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::Store;

#[stateful(store = store, put(count = "count"), conflict = "ignore")]
async fn unknown(store: &Arc<dyn Store>, count: &mut u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, put(count = "count"), tries = 1)]
async fn one_try(store: &Arc<dyn Store>, count: &mut u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, put(count = "count"), conflict = "fail", tries = 3)]
async fn tries(store: &Arc<dyn Store>, count: &mut u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, put(count = "count"))]
async fn not_repeatable(
    store: &Arc<dyn Store>,
    log: &mut Vec<u32>,
    count: &mut u32,
) -> Result<(), StateError> {
    Ok(())
}

struct Service {
    store: Arc<dyn Store>,
}

impl Service {
    #[stateful(store = self.store, put(count = "count"))]
    async fn receiver(&mut self, count: &mut u32) -> Result<(), StateError> {
        Ok(())
    }
}

fn main() {}
