//! Calls functions by the clock, as OpenFaaS's cron-connector does: through the queue, so that such a call may take as
//! long as it needs and is tried again as the function's annotations say.
//!
//! A time that comes while the call of an earlier one is not done yet is left out, and so are those that passed while
//! no gateway ran: calls do not pile up.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::queue::{self, Invocation};
use crate::specification::Schedule;
use crate::upstream::new_call_id;
use crate::{Shared, SharedState};

/// Between two looks at the clock. Looked at anew each time, so that a clock that is set, or stood still while the
/// machine slept, does no harm.
const INTERVAL: Duration = Duration::from_millis(250);

/// When a function is called next.
#[derive(Debug)]
struct Entry {
    /// Which schedule this was computed from.
    text: String,
    /// `None`: never.
    next: Option<SystemTime>,
}

impl Entry {
    fn new(schedule: &Schedule, now: SystemTime) -> Self {
        Self { text: schedule.text.clone(), next: schedule.next(now) }
    }

    /// Whether it is time; then the next time is computed from now on, not from the one that is due.
    fn is_due(&mut self, schedule: &Schedule, now: SystemTime) -> bool {
        let due = self.next.is_some_and(|next| next <= now);
        if due {
            self.next = schedule.next(now);
        }
        due
    }
}

/// Looks after all schedules until it is dropped.
pub(crate) async fn run(shared: Shared) {
    let mut entries = HashMap::new();
    loop {
        tokio::time::sleep(INTERVAL).await;
        for name in due(&shared, &mut entries, SystemTime::now()) {
            let call_id = new_call_id();
            match queue::push(&shared, Invocation::scheduled(&name, &call_id)).await {
                Ok(()) => tracing::info!(function = name, call_id, "called by schedule"),
                Err(error) => tracing::error!(function = name, %error, "cannot call by schedule"),
            }
        }
    }
}

/// The functions whose time has come and whose earlier call is done.
fn due(shared: &SharedState, entries: &mut HashMap<String, Entry>, now: SystemTime) -> Vec<String> {
    let scheduled: HashMap<String, Schedule> = shared
        .supervisor
        .list()
        .iter()
        .filter_map(|function| Some((function.name.clone(), function.schedule()?)))
        .collect();
    entries.retain(|name, entry| scheduled.get(name).is_some_and(|schedule| schedule.text == entry.text));
    let mut due = Vec::new();
    for (name, schedule) in scheduled {
        let entry = entries.entry(name.clone()).or_insert_with(|| Entry::new(&schedule, now));
        if !entry.is_due(&schedule, now) {
            continue;
        }
        if shared.queue.any_scheduled(&name) {
            tracing::warn!(function = name, "not called by schedule: the call before is not done");
        } else {
            due.push(name);
        }
    }
    due
}

#[cfg(test)]
mod tests {
    use openfaas::types::FunctionDeployment;

    use super::*;
    use crate::specification::Specification;

    #[test]
    fn times_that_passed_at_once_are_one_call() {
        let annotations = [("topic", "cron-function"), ("schedule", "*/5 * * * *")];
        let deployment = FunctionDeployment {
            service: "fn".into(),
            annotations: annotations.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..FunctionDeployment::default()
        };
        let schedule = Specification::read(&deployment).unwrap().schedule.unwrap();
        let at = |text: &str| humantime::parse_rfc3339(text).unwrap();
        let mut entry = Entry::new(&schedule, at("2030-01-31T12:00:00Z"));
        assert!(!entry.is_due(&schedule, at("2030-01-31T12:04:59Z")));
        assert!(entry.is_due(&schedule, at("2030-01-31T12:05:00Z")));
        assert!(!entry.is_due(&schedule, at("2030-01-31T12:05:01Z")));
        // The machine slept.
        assert!(entry.is_due(&schedule, at("2030-01-31T18:32:00Z")));
        assert!(!entry.is_due(&schedule, at("2030-01-31T18:34:00Z")));
        assert_eq!(entry.next, Some(at("2030-01-31T18:35:00Z")));
    }
}
