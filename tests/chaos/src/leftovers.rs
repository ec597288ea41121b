//! What may be left after a run, and what may not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use scenarios::{Place, TEMPORARY, redis_keys};

/// What stays of a run: `docs/ARCHITECTURE.md`, "State in Redis". Of numbered ones there are several.
const RECORDS: [&str; 8] = ["config", "control", "events", "model", "nodes", "node:", "relief", "worker:"];
/// Whoever leaves a run last tidies up, some time after it is over.
const TIDYING: Duration = Duration::from_secs(5);

/// Keys in the Redis at this address that are none of the records of `run`, once everybody has left.
///
/// # Panics
/// Redis does not answer.
pub(crate) fn keys(url: &str, run: &str) -> Vec<String> {
    let deadline = Instant::now() + TIDYING;
    loop {
        let mut keys = redis_keys::matching(url, "*");
        keys.retain(|key| !may_stay(key, run));
        if keys.is_empty() || Instant::now() > deadline {
            return keys;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn may_stay(key: &str, run: &str) -> bool {
    let Some(name) = key.strip_prefix(&format!("dp:{{{run}}}:")) else { return key == "dp:runs" };
    RECORDS.iter().any(|record| match record.strip_suffix(':') {
        Some(numbered) => {
            let number = name.strip_prefix(numbered).and_then(|rest| rest.strip_prefix(':'));
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        }
        None => name == *record,
    })
}

/// Files in the place of a platform that was shut down which are neither its records nor its data.
///
/// # Panics
/// The place can't be read.
pub(crate) fn files(place: &Place) -> Vec<String> {
    let (mut found, state) = (BTreeSet::new(), place.path("state"));
    collect(&place.path(TEMPORARY), &mut found);
    for folder in ["gateway/replicas", "gateway/queue", "gateway/builds"] {
        collect(&state.join(folder), &mut found);
    }
    found.into_iter().collect()
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        }
        found.insert(path.display().to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_of_the_run_may_stay() {
        for key in ["dp:runs", "dp:{r}:config", "dp:{r}:worker:3", "dp:{r}:node:65537"] {
            assert!(may_stay(key, "r"), "{key}");
        }
        for key in
            ["dp:{r}:log:0", "dp:{r}:65537:config", "dp:{s}:config", "dp:{r}:worker:", "x", "dp:{r}:snapshot"]
        {
            assert!(!may_stay(key, "r"), "{key}");
        }
    }
}
