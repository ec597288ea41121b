//! A store in a map, which counts its writes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sgd_lib::store::{Store, StoreError, Versioned, Write};

/// A store in a map.
#[derive(Default)]
pub(crate) struct MapStore {
    values: Mutex<HashMap<String, Versioned<Vec<u8>>>>,
    /// The time to live of every write, in order.
    ttls: Mutex<Vec<Option<Duration>>>,
}

impl MapStore {
    /// An empty store, twice: as itself and as what `#[stateful]` takes.
    pub(crate) fn new() -> (Arc<Self>, Arc<dyn Store>) {
        let store = Arc::new(Self::default());
        (Arc::clone(&store), store)
    }

    /// The time to live of every write so far, in order.
    #[allow(dead_code, reason = "not every test that has this store looks at it")]
    pub(crate) fn ttls(&self) -> Vec<Option<Duration>> {
        self.ttls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Store for MapStore {
    fn read(&self, key: &str) -> Result<Option<Versioned<Vec<u8>>>, StoreError> {
        Ok(self.values.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn write(
        &self,
        key: &str,
        value: &[u8],
        expected: u64,
        ttl: Option<Duration>,
    ) -> Result<Option<u64>, StoreError> {
        let write = Write { key: key.to_owned(), value: value.to_vec(), expected };
        Ok(self.write_all(&[write], ttl)?.map_or(Some(expected + 1), |_| None))
    }

    fn write_all(&self, writes: &[Write], ttl: Option<Duration>) -> Result<Option<usize>, StoreError> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let version = |key: &String| values.get(key).map_or(0, |value| value.version);
        if let Some(stale) = writes.iter().position(|write| version(&write.key) != write.expected) {
            return Ok(Some(stale));
        }
        for Write { key, value, expected } in writes.iter().cloned() {
            values.insert(key, Versioned { value, version: expected + 1 });
            self.ttls.lock().unwrap_or_else(PoisonError::into_inner).push(ttl);
        }
        Ok(None)
    }
}
