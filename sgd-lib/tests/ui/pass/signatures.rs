//! Visibility, attributes and what else stands around a function are kept.

#![deny(warnings, missing_docs)]

use std::sync::Arc;

use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::Store;

/// Not `Clone`.
pub struct Once;

/// Takes what it likes with conflict = "fail".
#[must_use]
#[stateful(store = store, put(count = "count", default), conflict = "fail")]
pub async fn once(
    store: Arc<dyn Store>,
    mut once: Vec<Once>,
    log: &mut Vec<u32>,
    count: &mut (u32),
) -> Result<Option<Once>, StateError> {
    *count += 1;
    log.push(*count);
    Ok(once.pop())
}

/// What only reads runs once.
#[stateful(store = store, get(count = "count", default = 5))]
pub async fn only_reads(
    store: &Arc<dyn Store>,
    once: Once,
    log: &mut Vec<u32>,
    count: u32,
) -> Result<Once, StateError> {
    log.push(count);
    Ok(once)
}

macro_rules! through_a_macro {
    ($name:ident, $ty:ty) => {
        #[stateful(store = store, get($name = "count"))]
        async fn read(store: &Arc<dyn Store>, $name: &$ty) -> Result<$ty, StateError> {
            Ok($name.clone())
        }
    };
}

through_a_macro!(count, u32);

fn main() -> Result<(), StateError> {
    let store: ::std::sync::Arc<dyn ::sgd_lib::store::Store> =
        ::std::sync::Arc::new(::sgd_lib::store::MemoryStore::new());
    let mut log = Vec::new();
    futures_lite::future::block_on(async {
        let popped = once(Arc::clone(&store), vec![Once], &mut log).await?;
        assert!(popped.is_some());
        only_reads(&store, Once, &mut log).await?;
        assert_eq!(log, [1, 1]);
        assert_eq!(read(&store).await?, 1);
        Ok(())
    })
}
