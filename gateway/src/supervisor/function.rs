//! One deployed function: keeps as many replicas of the right version running as are wanted, and hands them out.

use std::cmp::Reverse;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use openfaas::types::{DEFAULT_NAMESPACE, FunctionDeployment, FunctionStatus};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use super::activity::{Activity, UnderWay};
use super::context::Context;
use super::journal::{Journal, Note};
use super::pod;
use super::replica::{InFlight, Phase, Replica};
use crate::images::Binary;
use crate::specification::{Schedule, Specification};

/// A replica that lived so long did not crash at its start: its successor is started at once again.
const SETTLED: Duration = Duration::from_secs(10);
/// The wait after the first crash; doubles with each further one.
const MIN_BACKOFF: Duration = Duration::from_millis(20);
/// The longest wait between two starts.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// What is kept of a function on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) deployment: FunctionDeployment,
    /// Replicas wanted.
    pub(crate) replicas: u64,
    /// RFC 3339.
    pub(crate) created_at: String,
}

/// A version of a function that was found fit to run.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) record: Record,
    /// `None` where a restart did not find it: it may be built before the next start of a replica.
    pub(crate) binary: Option<Binary>,
    pub(crate) specification: Specification,
}

impl Version {
    /// What the names of its replicas begin with.
    pub(crate) fn set(&self) -> String {
        pod::set_name(&self.record.deployment)
    }
}

/// A deployed function.
pub(crate) struct Function {
    pub(crate) name: String,
    context: Arc<Context>,
    state: Mutex<State>,
    journal: Arc<Journal>,
    activity: Arc<Activity>,
    /// Asynchronous invocations that may run now.
    pub(crate) queue_permits: Arc<Semaphore>,
}

struct State {
    version: Version,
    generation: u64,
    replicas: Vec<Arc<Replica>>,
    retired: bool,
    crashes: u32,
    /// Why the last replica ended that was not told to.
    last_crash: String,
    next_start: Instant,
    /// Calls handed to replicas so far.
    calls: u64,
}

impl Function {
    /// A function without replicas yet; [`Function::control`] brings them up.
    pub(crate) fn new(context: Arc<Context>, version: Version, queue_concurrency: usize) -> Self {
        let state = State {
            version,
            generation: 0,
            replicas: Vec::new(),
            retired: false,
            crashes: 0,
            last_crash: String::new(),
            next_start: Instant::now(),
            calls: 0,
        };
        Self {
            name: state.version.record.deployment.service.clone(),
            journal: Arc::new(Journal::new(context.changes.clone())),
            context,
            state: Mutex::new(state),
            activity: Activity::new(),
            queue_permits: Arc::new(Semaphore::new(queue_concurrency)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn version(&self) -> Version {
        self.state().version.clone()
    }

    /// When it is called by the clock.
    pub(crate) fn schedule(&self) -> Option<Schedule> {
        self.state().version.specification.schedule.clone()
    }

    /// Goes over to `next`: replicas are replaced where the specification or the binary differs.
    pub(crate) fn update(&self, next: Version) {
        let mut state = self.state();
        let same =
            state.version.record.deployment == next.record.deployment && state.version.binary == next.binary;
        if !same {
            state.generation += 1;
            state.crashes = 0;
            state.next_start = Instant::now();
        }
        self.note_scaling(&next.set(), state.version.record.replicas, next.record.replicas);
        state.version = next;
        self.activity.touch();
        drop(state);
        self.journal.changed();
    }

    fn note_scaling(&self, set: &str, from: u64, to: u64) {
        if from != to {
            let direction = if to > from { "up" } else { "down" };
            let message = format!("Scaled {direction} replica set {set} from {from} to {to}");
            self.journal.note(None, false, "ScalingReplicaSet", message);
        }
    }

    /// Whether it asks to be scaled to zero where nothing is to do, and has had nothing to do for long enough.
    pub(crate) fn is_idle(&self) -> bool {
        self.state().is_idle(&self.activity)
    }

    /// Starts the time of idleness anew.
    pub(super) fn touch(&self) {
        self.activity.touch();
    }

    /// Wants no replicas any more if it is idle; whether it is.
    pub(super) fn rest(&self) -> bool {
        let mut state = self.state();
        if !state.is_idle(&self.activity) {
            return false;
        }
        let from = std::mem::take(&mut state.version.record.replicas);
        self.note_scaling(&state.version.set(), from, 0);
        // Here and now: a call that comes next wakes the function, and is not handed to one that is to end.
        state.replicas.iter().for_each(|replica| replica.stop());
        drop(state);
        self.journal.changed();
        true
    }

    /// Ends all replicas; none is started any more.
    pub(crate) fn retire(&self) {
        self.state().retired = true;
        self.journal.changed();
    }

    /// Keeps the replicas as they should be until the function is retired and the last has ended.
    pub(crate) async fn control(self: Arc<Self>) {
        let mut changes = self.journal.subscribe();
        loop {
            changes.mark_unchanged();
            let again = self.reconcile();
            if self.state().is_over() {
                return;
            }
            let again = again.unwrap_or_else(|| Instant::now() + MAX_BACKOFF);
            let _ = timeout_at(again.into(), changes.changed()).await;
        }
    }

    /// One step towards what is wanted; when to look again if nothing changes before.
    fn reconcile(&self) -> Option<Instant> {
        let mut state = self.state();
        let before = state.crashes;
        state.bury();
        if state.crashes > before.max(1) {
            let wait = state.next_start.saturating_duration_since(Instant::now());
            let message =
                format!("Back-off restarting failed replicas: {} in a row, {wait:.1?}", state.crashes);
            self.journal.note(None, true, "BackOff", message);
        }
        let missing = state.stop_what_is_not_wanted();
        if missing == 0 {
            return None;
        }
        if state.next_start > Instant::now() {
            return Some(state.next_start);
        }
        for _ in 0..missing {
            let deployment = state.version.record.deployment.clone();
            let taken = state.replicas.iter().filter(|replica| !replica.stopped());
            let taken = taken.map(|replica| replica.node.name.as_str());
            let node = self.context.surroundings.pick_node(&taken)?;
            match Replica::new(deployment, state.generation, node.clone(), self.journal.clone()) {
                Ok(replica) => {
                    let replica = Arc::new(replica);
                    state.replicas.push(replica.clone());
                    let context = self.context.clone();
                    self.context.tasks.spawn(async move { replica.run(&context).await });
                }
                Err(error) => {
                    tracing::error!(function = self.name, %error, "cannot make a replica");
                    state.count_crash(error.to_string());
                    return Some(state.next_start);
                }
            }
        }
        None
    }

    /// Hands a call to a replica that takes calls, other than those `tried`: one with the fewest calls in flight, of
    /// equals the one that has waited longest for a call. So who is refused, and calls again, comes to another.
    pub(crate) fn pick(&self, tried: &[String]) -> Option<(Arc<Replica>, InFlight)> {
        let mut state = self.state();
        let key = |it: &&Arc<Replica>| (it.phase() == Phase::Busy, it.in_flight(), it.last_call());
        let replica = state.can_take(tried).min_by_key(key)?.clone();
        state.calls += 1;
        let in_flight = replica.clone().enter(state.calls);
        Some((replica, in_flight))
    }

    /// Waits until a replica takes calls, other than those `tried`; whether one does before `deadline`.
    pub(crate) async fn ready(&self, tried: &[String], deadline: Instant) -> bool {
        let mut changes = self.journal.subscribe();
        loop {
            {
                let state = self.state();
                if state.can_take(tried).next().is_some() {
                    return true;
                }
                let coming =
                    state.replicas.iter().any(|replica| !replica.stopped() && replica.lived().is_none());
                if state.retired || (!coming && state.next_start > deadline) {
                    return false;
                }
            }
            if timeout_at(deadline.into(), changes.changed()).await.is_err() {
                return false;
            }
        }
    }

    /// What is wrong with its replicas, as a sentence behind another one; nothing is where none crashed of late.
    pub(crate) fn trouble(&self) -> String {
        let state = self.state();
        let wait = state.next_start.saturating_duration_since(Instant::now());
        match state.crashes {
            0 => String::new(),
            crashes => format!(
                " Replicas ended {crashes} times in a row, the last: {}; the next start is in {:.1} s.",
                state.last_crash,
                wait.as_secs_f64()
            ),
        }
    }

    /// Counts a call, as under way until what it returns is dropped.
    pub(crate) fn begin(&self) -> UnderWay {
        self.activity.begin()
    }

    /// Its replicas, those that are ending included.
    pub(crate) fn replicas(&self) -> Vec<Arc<Replica>> {
        self.state().replicas.clone()
    }

    /// What happened to it and its replicas of late.
    pub(crate) fn notes(&self) -> Vec<Note> {
        self.journal.notes()
    }

    /// The processes of all its replicas.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.state().replicas.iter().filter_map(|replica| replica.process()).collect()
    }

    /// What `GET /system/function` answers.
    pub(crate) fn status(&self) -> FunctionStatus {
        let state = self.state();
        let Record { deployment, replicas, created_at } = state.version.record.clone();
        let available = state.replicas.iter().filter(|replica| replica.takes_calls()).count();
        FunctionStatus {
            name: deployment.service,
            image: deployment.image,
            namespace: DEFAULT_NAMESPACE.to_owned(),
            env_process: deployment.env_process,
            env_vars: deployment.env_vars,
            constraints: deployment.constraints,
            secrets: deployment.secrets,
            labels: deployment.labels,
            annotations: deployment.annotations,
            limits: deployment.limits,
            requests: deployment.requests,
            read_only_root_filesystem: deployment.read_only_root_filesystem,
            invocation_count: self.activity.total() as f64,
            replicas,
            available_replicas: available as u64,
            created_at,
            usage: None,
        }
    }
}

impl State {
    /// The replicas that take calls, other than those `tried`.
    fn can_take(&self, tried: &[String]) -> impl Iterator<Item = &Arc<Replica>> {
        self.replicas.iter().filter(|it| it.takes_calls() && !tried.contains(&it.pod))
    }

    fn is_idle(&self, activity: &Activity) -> bool {
        let after = self.version.specification.scaling.zero_after;
        let idle = || activity.idle_for().zip(after).is_some_and(|(idle, after)| idle >= after);
        self.version.record.replicas > 0 && idle()
    }

    fn is_over(&self) -> bool {
        self.retired && self.replicas.is_empty()
    }

    /// Forgets replicas that have ended, and counts those that were not told to.
    fn bury(&mut self) {
        let (ended, alive) = std::mem::take(&mut self.replicas)
            .into_iter()
            .partition::<Vec<_>, _>(|replica| replica.phase() == Phase::Ended);
        self.replicas = alive;
        for replica in ended.iter().filter(|replica| !replica.stopped()) {
            if replica.lived().is_some_and(|lived| lived >= SETTLED) {
                self.crashes = 0;
            }
            // One that ended for another reason than its version says nothing about the version in use.
            if replica.generation == self.generation {
                self.count_crash(replica.reason());
            }
        }
    }

    fn count_crash(&mut self, reason: String) {
        self.last_crash = reason;
        self.next_start = Instant::now() + backoff(self.crashes);
        self.crashes = self.crashes.saturating_add(1);
    }

    /// Tells surplus and outdated replicas to end; how many are missing.
    fn stop_what_is_not_wanted(&self) -> usize {
        let wanted = if self.retired { 0 } else { self.version.record.replicas as usize };
        let (mut current, outdated) = self
            .replicas
            .iter()
            .filter(|replica| !replica.stopped())
            .partition::<Vec<_>, _>(|replica| replica.generation == self.generation);
        // Those that would be missed least come last.
        current.sort_by_key(|replica| {
            let phase = replica.phase();
            (phase != Phase::Busy, phase != Phase::Ready, Reverse(replica.in_flight()))
        });
        for replica in current.iter().skip(wanted) {
            replica.stop();
        }
        let ready = current.iter().take(wanted).filter(|replica| replica.takes_calls()).count();
        if ready == wanted {
            outdated.iter().for_each(|replica| replica.stop());
        }
        wanted.saturating_sub(current.len())
    }
}

/// The wait after a crash that `before` others preceded.
fn backoff(before: u32) -> Duration {
    MIN_BACKOFF.saturating_mul(2_u32.saturating_pow(before)).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_and_is_bounded() {
        assert_eq!([backoff(0), backoff(1), backoff(2)], [20, 40, 80].map(Duration::from_millis));
        assert_eq!(backoff(40), MAX_BACKOFF);
        assert_eq!(backoff(u32::MAX), MAX_BACKOFF);
    }
}
