#![allow(unused)]

use std::sync::Arc;

use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::Store;

#[stateful(store = store, get(count = "dp:{run"))]
async fn unclosed(store: &Arc<dyn Store>, run: &str, count: &u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, get(count = "dp:run}"))]
async fn unopened(store: &Arc<dyn Store>, run: &str, count: &u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, get(count = "dp:{}"))]
async fn positional(store: &Arc<dyn Store>, run: &str, count: &u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, get(count = "dp:{rnu}"))]
async fn unknown(store: &Arc<dyn Store>, run: &str, count: &u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, get(count = "dp:{total}", total = "total"))]
async fn from_the_store(store: &Arc<dyn Store>, count: &u32, total: &u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, get(count = ""))]
async fn empty(store: &Arc<dyn Store>, count: &u32) -> Result<(), StateError> {
    Ok(())
}

#[stateful(store = store, get(count = KEY))]
async fn no_literal(store: &Arc<dyn Store>, count: &u32) -> Result<(), StateError> {
    Ok(())
}

fn main() {}
