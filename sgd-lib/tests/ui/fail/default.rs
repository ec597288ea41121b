#![allow(unused)]

use std::sync::Arc;

use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::Store;

#[stateful(store = store, put(default, count = "count"))]
async fn first(store: &Arc<dyn Store>, count: &mut u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, put(count = "count", default, default = 3))]
async fn twice(store: &Arc<dyn Store>, count: &mut u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, put(count = "count", default(3)))]
async fn parenthesized(store: &Arc<dyn Store>, count: &mut u32) -> Result<(), StateError> {
    Ok(())
}

fn main() {}
