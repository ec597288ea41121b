//! One call of a `#[stateful]` function: what it reads, what it writes, how often it tries.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use super::{StateError, Versioned, decode, encode};
use crate::store::{Store, Write};

/// Longest wait before the second try; doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_micros(500);
/// How often it doubles: at most 64 ms.
const DOUBLINGS: u32 = 7;

/// The keys of one call of a `#[stateful]` function, in the order of its attribute. A try is: [`read`](Self::read), then
/// [`get`](Self::get), [`required`](Self::required) and [`vacant`](Self::vacant), the body,
/// [`put`](Self::put), [`commit`](Self::commit). The store is called on threads that may block.
pub struct Call {
    store: Arc<dyn Store>,
    keys: Arc<[String]>,
    ttl: Option<Duration>,
    /// How many tries there may be.
    tries: u32,
    /// How many there were.
    tried: u32,
    /// What the last read found, one for each key.
    found: Vec<Option<Versioned<Vec<u8>>>>,
    writes: Vec<Write>,
}

impl Call {
    /// A call that reads and writes `keys`, what it writes expiring after `ttl`, in at most `tries` tries.
    pub fn new(store: Arc<dyn Store>, keys: Vec<String>, ttl: Option<Duration>, tries: u32) -> Self {
        Self { store, keys: keys.into(), ttl, tries, tried: 0, found: Vec::new(), writes: Vec::new() }
    }

    /// Starts a try: reads every key, after a random wait if it is not the first.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn read(&mut self) -> Result<(), StateError> {
        let (store, keys, wait) = (Arc::clone(&self.store), Arc::clone(&self.keys), wait(self.tried));
        self.tried += 1;
        self.writes.clear();
        self.found = blocking::unblock(move || {
            std::thread::sleep(wait);
            keys.iter().map(|key| store.read(key)).collect::<Result<_, _>>()
        })
        .await?;
        Ok(())
    }

    /// The value under key number `index`, if there is one.
    ///
    /// # Errors
    /// What stands there is no `T`.
    pub fn get<T: DeserializeOwned>(&self, index: usize) -> Result<Option<T>, StateError> {
        let Some(found) = &self.found[index] else { return Ok(None) };
        decode(&self.keys[index], &found.value).map(Some)
    }

    /// The value under key number `index`.
    ///
    /// # Errors
    /// Nothing stands there, or no `T`.
    pub fn required<T: DeserializeOwned>(&self, index: usize) -> Result<T, StateError> {
        self.get(index)?.ok_or_else(|| StateError::Missing { key: self.keys[index].clone() })
    }

    /// Checks that key number `index` does not exist.
    ///
    /// # Errors
    /// [`StateError::Exists`] if it does.
    pub fn vacant(&self, index: usize) -> Result<(), StateError> {
        match self.found[index] {
            Some(_) => Err(StateError::Exists { key: self.keys[index].clone() }),
            None => Ok(()),
        }
    }

    /// Has [`commit`](Self::commit) write `value` under key number `index`, if it is not what was read there.
    ///
    /// # Errors
    /// The value does not encode.
    pub fn put<T: Serialize>(&mut self, index: usize, value: &T) -> Result<(), StateError> {
        let key = self.keys[index].clone();
        let value = encode(&key, value)?;
        let found = self.found[index].as_ref();
        if found.is_none_or(|found| found.value != value) {
            self.writes.push(Write { key, value, expected: found.map_or(0, |found| found.version) });
        }
        Ok(())
    }

    /// Ends a try: writes everything that changed, or nothing. `false`: somebody else wrote in between, try again.
    ///
    /// # Errors
    /// The store can't be reached, or there was a conflict in the last try.
    pub async fn commit(&mut self) -> Result<bool, StateError> {
        if self.writes.is_empty() {
            return Ok(true);
        }
        let (store, ttl, mut writes) = (Arc::clone(&self.store), self.ttl, std::mem::take(&mut self.writes));
        let stale = blocking::unblock(move || {
            let stale = store.write(&writes, ttl)?;
            Ok::<_, StateError>(stale.map(|index| writes.swap_remove(index)))
        })
        .await?;
        let Some(Write { key, expected, .. }) = stale else { return Ok(true) };
        if self.tried < self.tries {
            tracing::debug!(key, expected, tried = self.tried, "changed by somebody else, trying again");
            return Ok(false);
        }
        Err(StateError::Conflict { key, expected })
    }
}

/// How long to wait after `tried` tries: at random, so that those who collided do not meet again.
fn wait(tried: u32) -> Duration {
    let Some(doublings) = tried.checked_sub(1) else { return Duration::ZERO };
    let longest = FIRST_WAIT.as_nanos() as u64 * (1 << doublings.min(DOUBLINGS));
    // A fresh `RandomState` hashes with fresh keys.
    Duration::from_nanos(RandomState::new().hash_one(tried) % longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_and_differ() {
        assert_eq!(wait(0), Duration::ZERO);
        for tried in [1, 2, 8, 9, u32::MAX] {
            let longest = FIRST_WAIT * (1 << (tried - 1).min(DOUBLINGS));
            assert!((0..100).all(|_| wait(tried) < longest));
        }
        assert_ne!(wait(9), wait(9));
    }
}
