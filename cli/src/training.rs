//! A run on a platform, this machine's or any other: set up through its gateway, followed in its store.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use openfaas::client::Client;
use platform::invoker::{HttpInvoker, Invoker as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sgd_lib::downpour::Run;
use sgd_lib::store::Store;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::local::signals::{EndSignals, Interrupted};
use crate::report::Report;
use crate::watch::{Audience, until_over};

/// Sets a run up and calls the train function for each worker.
pub(crate) const SETUP: &str = "emnist-setup";
/// Becomes a worker.
pub(crate) const TRAIN: &str = "emnist-train";
/// Does everything in one invocation (`train_type` 1).
pub(crate) const SINGLE: &str = "emnist-single";

/// How long a call of a function may take, as through OpenFaaS' gateway.
pub(crate) const CALL: Duration = Duration::from_secs(60);
/// Between two looks at a function's replicas.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What setup answers; `--json` passes it on.
#[derive(Deserialize, Serialize)]
pub(crate) struct SetupAnswer {
    /// The run's name.
    pub(crate) run: String,
    /// The data set's name.
    pub(crate) dataset: String,
    /// Those that found a place.
    pub(crate) workers: u32,
    /// Those that found none, and why.
    #[serde(default)]
    pub(crate) left_out: Vec<LeftOut>,
    /// Whether the workers were queued (`fan_out` async) and may come later.
    #[serde(default)]
    pub(crate) queued: bool,
}

/// A call to the train function that found no place.
#[derive(Deserialize, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) place: String,
    pub(crate) why: String,
}

/// Calls the function that sets a run up, with these settings.
///
/// # Errors
/// No answer, a refusal, or an answer that names no run.
pub(crate) async fn set_up(functions: &HttpInvoker, function: &str, settings: &Value) -> Result<SetupAnswer> {
    let call_id = format!("{:032x}", rand::random::<u128>());
    let reply = functions.invoke(function, serde_json::to_vec(settings)?, &call_id).await?;
    if !reply.is_success() {
        bail!("{function} answered {}: {}", reply.status, reply.first_line());
    }
    serde_json::from_slice(&reply.body).with_context(|| {
        format!("{function} answered {:?}; expected an object with run, dataset, workers", reply.first_line())
    })
}

/// Waits until so many replicas of a function are ready; says whether they are. `limit` bounds the wait.
///
/// # Errors
/// The gateway does not answer.
pub(crate) async fn await_replicas(
    gateway: &Client,
    function: &str,
    wanted: u64,
    limit: Duration,
) -> Result<bool> {
    let begin = Instant::now();
    loop {
        let found = gateway.get(function).await?;
        if found.is_none_or(|function| function.available_replicas >= wanted) {
            return Ok(true);
        }
        if begin.elapsed() >= limit {
            return Ok(false);
        }
        // Processes are there within milliseconds, pods within seconds.
        let pause = begin.elapsed() / 16;
        tokio::time::sleep(pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
    }
}

/// Follows a run to its end: its figures. The first signal asks the workers to stop, the second waits for
/// nobody.
///
/// # Errors
/// The store fails, nobody works on the run, or it was [`Interrupted`].
pub(crate) async fn follow(
    functions: &HttpInvoker,
    store: Arc<dyn Store>,
    name: String,
    audience: Audience,
    signals: &mut EndSignals,
) -> Result<Report> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    let (runtime, recruiter) =
        (Handle::current(), Recruiter { functions: functions.clone(), asked: Arc::default() });
    let mut following = spawn_blocking(move || {
        let run = Run::open(store, &name)?;
        let recruit = |worker| {
            let _task = runtime.spawn(recruiter.clone().recruit(name.clone(), worker));
        };
        let status = until_over(&run, audience, &flag, recruit)?;
        Ok(Report::new(&run, &status))
    });
    tokio::select! {
        report = &mut following => return report?,
        () = signals.next() => interrupted.store(true, Ordering::Relaxed),
    }
    tokio::select! {
        report = following => report?,
        () = signals.next() => Err(Interrupted.into()),
    }
}

/// Has train functions take the places of workers that are gone.
#[derive(Clone)]
struct Recruiter {
    functions: HttpInvoker,
    /// The workers for whom a call is under way: a store that is away holds it up.
    asked: Arc<Mutex<BTreeSet<u32>>>,
}

impl Recruiter {
    /// Asks for one worker; whether its place is free is decided by its lease.
    async fn recruit(self, run: String, worker: u32) {
        if !self.asked().insert(worker) {
            return;
        }
        let place = format!("{run}-again-{worker}");
        let order = json!({"run": run, "place": place, "worker": worker});
        match self.functions.invoke(TRAIN, order.to_string().into_bytes(), &place).await {
            Ok(reply) if reply.status >= 500 => {
                let why = reply.first_line();
                tracing::warn!(run, worker, status = reply.status, why, "nobody took the place of a worker");
            }
            Ok(reply) => tracing::info!(run, worker, status = reply.status, "asked for a worker anew"),
            Err(error) => tracing::warn!(run, worker, %error, "no worker found"),
        }
        self.asked().remove(&worker);
    }

    fn asked(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        // A set of numbers can't be left half-changed.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
