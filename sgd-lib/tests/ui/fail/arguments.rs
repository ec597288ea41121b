#![allow(unused)]

use std::sync::Arc;

use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::Store;

#[stateful(store = store, get(cuont = "count", total = "total"))]
async fn not_found(store: &Arc<dyn Store>, count: &u32) -> Result<u32, StateError> {
    Ok(*count)
}

#[stateful(store = store, get(count = "count"), put(count = "count"))]
async fn twice(store: &Arc<dyn Store>, count: &mut u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, put(count = "count", total = "total"), create(first = "first"))]
async fn not_mut(store: &Arc<dyn Store>, count: &u32, total: u32, first: &u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, get(count = "count"))]
async fn get_mut(store: &Arc<dyn Store>, count: &mut u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, get(text = "text", list = "list"))]
async fn not_sized(store: &Arc<dyn Store>, text: &str, list: &[u8]) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, get(count = "count"))]
async fn pattern(store: &Arc<dyn Store>, (a, b): (u32, u32), count: &u32) -> Result<(), StateError> {
    Ok(())
}

fn main() {}
