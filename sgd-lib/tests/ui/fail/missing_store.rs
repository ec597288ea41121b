#![allow(unused)]

use std::sync::Arc;

use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::Store;

#[stateful(get(count = "count"))]
async fn read(store: &Arc<dyn Store>, count: &u32) -> Result<u32, StateError> {
    Ok(*count)
}

#[stateful(store = store)]
async fn nothing(store: &Arc<dyn Store>) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, store = store, get(count = "count"))]
async fn twice(store: &Arc<dyn Store>, count: &u32) -> Result<u32, StateError> {
    Ok(*count)
}

fn main() {}
