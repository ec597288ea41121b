//! The objects with versions, and what changed from version to version: what a list begins and a watch goes on from.
//!
//! Nothing is noted while nobody asks: each question compares what there is with what the last one saw. So changes
//! that undo each other in between are not told, as a client that lists again would not see them either.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::failure::Failure;
use super::kind::Kind;
use super::objects::{self, Site};
use crate::supervisor::Supervisor;
use crate::supervisor::context::Context;

/// Changes that are remembered.
const HISTORY: usize = 2000;

/// One object's change.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    version: u64,
    pub(crate) kind: Kind,
    /// The object before; `None` for a new one.
    pub(crate) before: Option<Arc<Value>>,
    /// The object since; the last that was known of one that is gone.
    pub(crate) after: Arc<Value>,
    pub(crate) gone: bool,
}

/// All objects.
pub(crate) struct Store {
    site: Site,
    state: Mutex<State>,
}

struct State {
    version: u64,
    /// A watch can go on from here, and from any later version.
    oldest: u64,
    objects: BTreeMap<(Kind, String), Object>,
    history: VecDeque<Change>,
}

struct Object {
    /// As made, without version and generation.
    plain: Value,
    generation: u64,
    shown: Arc<Value>,
}

impl Store {
    /// A store of what `supervisor` runs behind the gateway at this address.
    pub(crate) fn new(supervisor: Arc<Supervisor>, context: Arc<Context>, gateway: SocketAddr) -> Self {
        let started = SystemTime::now();
        Self { site: Site { supervisor, context, gateway, started }, state: Mutex::new(State::new(started)) }
    }

    /// Hears whenever there may be something new.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.site.supervisor.changes()
    }

    fn current(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Made under the lock: what is compared later must not have been made earlier.
        state.compare(objects::all(&self.site));
        state
    }

    /// The version now, and all objects of `kind`.
    pub(crate) fn list(&self, kind: Kind) -> (u64, Vec<Arc<Value>>) {
        let state = self.current();
        let of_kind = state.objects.iter().filter(|((other, _), _)| *other == kind);
        (state.version, of_kind.map(|(_, object)| object.shown.clone()).collect())
    }

    /// The object `name` of `kind`.
    pub(crate) fn get(&self, kind: Kind, name: &str) -> Result<Arc<Value>, Failure> {
        let state = self.current();
        let object = state.objects.get(&(kind, name.to_owned()));
        object.map(|object| object.shown.clone()).ok_or_else(|| Failure::not_found(kind, name))
    }

    /// The version now, and what changed after `version`.
    pub(crate) fn since(&self, version: u64) -> Result<(u64, Vec<Change>), Failure> {
        self.current().since(version)
    }
}

impl State {
    /// Versions begin at the time in milliseconds, so that they grow over restarts too.
    fn new(now: SystemTime) -> Self {
        let elapsed = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let version = u64::try_from(elapsed.as_millis()).unwrap_or_default();
        Self { version, oldest: version, objects: BTreeMap::new(), history: VecDeque::new() }
    }

    fn since(&self, version: u64) -> Result<(u64, Vec<Change>), Failure> {
        // A later one is of another gateway.
        if version < self.oldest || version > self.version {
            return Err(Failure::expired(version, self.oldest));
        }
        Ok((self.version, self.history.iter().filter(|change| change.version > version).cloned().collect()))
    }

    /// Goes over to the objects in `made`.
    fn compare(&mut self, made: Vec<(Kind, Value)>) {
        let key = |kind: Kind, object: &Value| {
            (kind, object["metadata"]["name"].as_str().unwrap_or_default().to_owned())
        };
        let mut before = std::mem::take(&mut self.objects);
        for (kind, plain) in made {
            let key = key(kind, &plain);
            let old = before.remove(&key);
            let object = match old {
                Some(old) if old.plain == plain => old,
                old => self.changed(kind, plain, old),
            };
            self.objects.insert(key, object);
        }
        for ((kind, _), old) in before {
            self.version += 1;
            let mut last = (*old.shown).clone();
            last["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.remember(kind, Some(old.shown), Arc::new(last), true);
        }
    }

    fn changed(&mut self, kind: Kind, plain: Value, old: Option<Object>) -> Object {
        self.version += 1;
        let generation = match &old {
            Some(old) => old.generation + u64::from(old.plain["spec"] != plain["spec"]),
            None => 1,
        };
        let mut shown = plain.clone();
        shown["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if shown["status"]["observedGeneration"].is_u64() {
            shown["metadata"]["generation"] = json!(generation);
            shown["status"]["observedGeneration"] = json!(generation);
        }
        let shown = Arc::new(shown);
        self.remember(kind, old.map(|old| old.shown), shown.clone(), false);
        Object { plain, generation, shown }
    }

    fn remember(&mut self, kind: Kind, before: Option<Arc<Value>>, after: Arc<Value>, gone: bool) {
        if self.history.len() == HISTORY
            && let Some(forgotten) = self.history.pop_front()
        {
            self.oldest = forgotten.version;
        }
        self.history.push_back(Change { version: self.version, kind, before, after, gone });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(replicas: u64, available: u64) -> (Kind, Value) {
        let object = json!({
            "metadata": {"name": "d"},
            "spec": {"replicas": replicas},
            "status": {"observedGeneration": 1, "availableReplicas": available},
        });
        (Kind::Deployment, object)
    }

    #[test]
    fn changes_are_told_from_any_version_on() {
        let mut state = State::new(UNIX_EPOCH);
        state.compare(vec![deployment(1, 0)]);
        let (listed, all) = state.since(0).unwrap();
        assert!(all.len() == 1 && all[0].before.is_none() && !all[0].gone);
        state.compare(vec![deployment(1, 0)]);
        assert!(state.since(listed).unwrap().1.is_empty(), "nothing changed");
        state.compare(vec![deployment(1, 1)]);
        state.compare(vec![deployment(2, 1)]);
        state.compare(vec![]);
        let (last, changes) = state.since(listed).unwrap();
        let told: Vec<_> = changes
            .iter()
            .map(|change| (change.after["metadata"]["generation"].as_u64().unwrap(), change.gone))
            .collect();
        assert_eq!(told, [(1, false), (2, false), (2, true)]);
        assert_eq!(changes[2].after["metadata"]["resourceVersion"], last.to_string());
        assert!(state.since(last).unwrap().1.is_empty());
    }

    #[test]
    fn what_is_forgotten_is_said_to_be() {
        let mut state = State::new(UNIX_EPOCH);
        for available in 0..=HISTORY as u64 {
            state.compare(vec![deployment(1, available)]);
        }
        assert!(state.since(0).is_err());
        assert_eq!(state.since(1).unwrap().1.len(), HISTORY);
    }
}
