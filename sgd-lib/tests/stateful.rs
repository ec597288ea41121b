//! What functions under `#[stateful]` do.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures_lite::future::block_on;
use serde::{Deserialize, Serialize};
use sgd_lib::state::{self, StateError};
use sgd_lib::stateful;
use sgd_lib::store::{MemoryStore, Store};

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("refused")]
    Refused,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Config {
    step: u64,
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn stored<T: serde::de::DeserializeOwned>(store: &Arc<dyn Store>, key: &str) -> Option<T> {
    state::get(&**store, key).unwrap().map(|found| found.value)
}

fn store(store: &Arc<dyn Store>, key: &str, value: &impl Serialize) {
    state::put(&**store, key, value, 0, None).unwrap();
}

/// Adds the configured step to a counter and returns the new value.
#[stateful(
    store = store,
    get(config = "dp:{{{run}}}:config"),
    put(counter = "dp:{{{run}}}:counter", default),
    tries = 64,
)]
async fn advance(
    store: &Arc<dyn Store>,
    run: &str,
    config: &Config,
    counter: &mut u64,
) -> Result<u64, Error> {
    *counter += config.step;
    Ok(*counter)
}

#[test]
fn arguments_are_read_before_and_written_after() {
    let shared = memory();
    store(&shared, "dp:{r}:config", &Config { step: 3 });
    assert_eq!(block_on(advance(&shared, "r")).unwrap(), 3);
    assert_eq!(block_on(advance(&shared, "r")).unwrap(), 6);
    assert_eq!(stored(&shared, "dp:{r}:counter"), Some(6_u64));
}

#[test]
fn a_missing_value_is_named() {
    let shared = memory();
    let error = block_on(advance(&shared, "r")).unwrap_err();
    assert_eq!(error.to_string(), "dp:{r}:config: nothing is stored there");
}

#[test]
fn a_value_of_another_type_is_named() {
    let shared = memory();
    store(&shared, "dp:{r}:config", &"step");
    let error = block_on(advance(&shared, "r")).unwrap_err().to_string();
    assert!(error.starts_with("dp:{r}:config: 5 bytes that are no stateful::Config"), "{error}");
}

#[test]
fn no_update_is_lost() {
    for test in support::stores() {
        let shared = test.store;
        store(&shared, "dp:{r}:config", &Config { step: 1 });
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        block_on(advance(&shared, "r")).unwrap();
                    }
                });
            }
        });
        assert_eq!(stored(&shared, "dp:{r}:counter"), Some(400_u64), "{}", test.name);
    }
}

#[stateful(
    store = store,
    put(from = "{bank}:{first:02}", default = 100, to = "{bank}:{second:02}", default = 100),
    tries = 1000
)]
async fn transfer(
    store: Arc<dyn Store>,
    bank: String,
    first: u8,
    second: u8,
    from: &mut i64,
    to: &mut i64,
) -> Result<(), StateError> {
    *from -= 1;
    *to += 1;
    Ok(())
}

#[test]
fn several_values_are_written_together() {
    let shared = memory();
    std::thread::scope(|scope| {
        for thread in 0..6_u8 {
            let shared = &shared;
            scope.spawn(move || {
                for turn in 0..30 {
                    let first = (thread + turn) % 3;
                    let call = transfer(Arc::clone(shared), "b".to_owned(), first, (first + 1) % 3);
                    block_on(call).unwrap();
                }
            });
        }
    });
    let accounts = ["b:00", "b:01", "b:02"].map(|key| stored::<i64>(&shared, key).unwrap());
    assert_eq!(accounts, [100; 3], "60 transfers each way around");
}

#[stateful(store = store, put(value = "value", default), conflict = "fail")]
async fn slow(store: &Arc<dyn Store>, meet: &Barrier, runs: &mut u32, value: &mut u64) -> Result<(), Error> {
    *runs += 1;
    *value += 1;
    meet.wait();
    Ok(())
}

#[test]
fn the_policy_fail_returns_the_conflict() {
    let shared = memory();
    let meet = Barrier::new(2);
    let outcomes = std::thread::scope(|scope| {
        [(); 2]
            .map(|()| {
                scope.spawn(|| {
                    let mut runs = 0;
                    (block_on(slow(&shared, &meet, &mut runs)), runs)
                })
            })
            .map(|thread| thread.join().unwrap())
    });
    let conflicts = outcomes.iter().filter(|(outcome, _)| {
        matches!(outcome, Err(Error::State(StateError::Conflict { expected: 0, .. })))
    });
    assert_eq!(conflicts.count(), 1);
    assert!(outcomes.iter().all(|(_, runs)| *runs == 1));
    assert_eq!(stored(&shared, "value"), Some(1_u64));
}

#[stateful(store = store, put(value = "value", default), tries = 3)]
async fn disturbed(
    store: &Arc<dyn Store>,
    runs: &AtomicU32,
    quiet: u32,
    value: &mut u64,
) -> Result<u64, Error> {
    let run = runs.fetch_add(1, Ordering::Relaxed);
    if run < quiet {
        let version = state::get::<u64>(&**store, "value")?.map_or(0, |found| found.version);
        state::put(&**store, "value", &(100 + u64::from(run)), version, None)?;
    }
    *value += 1;
    Ok(*value)
}

#[test]
fn a_conflict_reads_again_and_tries_are_bounded() {
    let shared = memory();
    let runs = AtomicU32::new(0);
    assert_eq!(block_on(disturbed(&shared, &runs, 2)).unwrap(), 102);
    assert_eq!(runs.swap(0, Ordering::Relaxed), 3);
    let error = block_on(disturbed(&shared, &runs, 9)).unwrap_err();
    assert!(matches!(error, Error::State(StateError::Conflict { .. })));
    assert_eq!(runs.into_inner(), 3);
}

#[stateful(store = store, put(value = "value", default))]
async fn refuse(store: &Arc<dyn Store>, early: bool, value: &mut u64) -> Result<(), Error> {
    *value += 1;
    if early {
        return Err(Error::Refused);
    }
    Err(Error::Refused)?;
    Ok(())
}

#[test]
fn an_error_writes_nothing() {
    let shared = memory();
    for early in [true, false] {
        assert!(matches!(block_on(refuse(&shared, early)), Err(Error::Refused)));
    }
    assert_eq!(shared.read("value").unwrap(), None);
}

#[stateful(store = store, put(value = "value", default), ttl = Duration::from_millis(lifetime))]
async fn set(store: &Arc<dyn Store>, lifetime: u64, to: u64, value: &mut u64) -> Result<(), StateError> {
    *value = to;
    Ok(())
}

#[test]
fn what_did_not_change_is_not_written() {
    let shared = memory();
    for to in [0, 0, 7, 7] {
        block_on(set(&shared, 60_000, to)).unwrap();
    }
    assert_eq!(shared.read("value").unwrap().unwrap().version, 2, "the default once, then the 7");
}

#[test]
fn what_is_written_expires() {
    let shared = memory();
    block_on(set(&shared, 20, 7)).unwrap();
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(shared.read("value").unwrap(), None);
}

#[stateful(store = store, create(config = "dp:{{{run}}}:config", default = Config { step: 9 }))]
async fn set_up(store: &Arc<dyn Store>, run: &str, config: &mut Config) -> Result<(), StateError> {
    config.step += 1;
    Ok(())
}

#[test]
fn create_refuses_what_exists() {
    let shared = memory();
    block_on(set_up(&shared, "r")).unwrap();
    assert_eq!(stored(&shared, "dp:{r}:config"), Some(Config { step: 10 }));
    let error = block_on(set_up(&shared, "r")).unwrap_err();
    assert_eq!(error.to_string(), "dp:{r}:config: exists already");
}

struct Service {
    store: Arc<dyn Store>,
}

impl Service {
    /// Keeps generics, lifetimes, `self`, `mut` and values that are taken whole.
    #[stateful(store = self.store, get(names = "names", default), put(last = "last", default))]
    async fn join<'a, T>(
        &self,
        separator: &'a str,
        mut tail: Vec<T>,
        mut names: Vec<String>,
        last: &mut String,
    ) -> Result<(&'a str, String), Error>
    where
        T: ToString + Clone,
    {
        names.extend(tail.drain(..).map(|name| name.to_string()));
        *last = names.join(separator);
        Ok((separator, last.clone()))
    }
}

#[test]
fn methods_generics_and_owned_values_work() {
    let shared = memory();
    let service = Service { store: Arc::clone(&shared) };
    store(&shared, "names", &vec!["a", "b"]);
    let separator = String::from("-");
    let (kept, joined) = block_on(service.join(&separator, vec![1, 2])).unwrap();
    assert_eq!((kept, joined.as_str()), ("-", "a-b-1-2"));
    assert_eq!(stored(&shared, "last"), Some("a-b-1-2".to_owned()));
    assert_eq!(stored(&shared, "names"), Some(vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn the_future_can_move_between_threads() {
    let shared = memory();
    store(&shared, "dp:{r}:config", &Config { step: 1 });
    let call = async move { advance(&shared, "r").await };
    assert_eq!(std::thread::spawn(|| block_on(call)).join().unwrap().unwrap(), 1);
}

#[test]
fn misuse_is_reported_where_it_stands() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
