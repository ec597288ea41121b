#![allow(unused)]

use std::sync::Arc;

use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::Store;

#[stateful(store = store, get(count = "count"))]
async fn read(store: &Arc<dyn Store>, count: &u32) {}

fn main() {}
