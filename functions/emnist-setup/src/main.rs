//! `emnist-setup`: initialises a network in the store, then fans out M train functions.

mod fan_out;
mod follow;

use std::process::ExitCode;
use std::sync::Arc;

use kit::{Host, Refusal, answer, host};
use platform::invoker::Invoker;
use platform::settings::{FanOut, Settings, TrainType, Workers};
use platform::{data, training};
use serde::Deserialize;
use serde_json::json;
use sgd_lib::downpour::{Run, RunConfig, RunError, run_name};
use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::{RUN_TTL, RunKeys, Store};
use watchdog::{Call, Reply, StatusCode};

use crate::fan_out::Placed;

fn main() -> ExitCode {
    Host::serve(setup)
}

/// The body of a call that sets up nothing, but brings back a run of which workers are gone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Again {
    run: String,
}

async fn setup(host: Arc<Host>, call: Call) -> Result<Reply, Refusal> {
    if let Ok(Again { run }) = serde_json::from_slice(&call.body) {
        return bring_back(&host, run).await;
    }
    let settings = host.settings.clone().overridden_by_json(&call.body).map_err(Refusal::bad_request)?;
    if settings.train_type == TrainType::SingleFunction {
        return Err(Refusal::bad_request("train_type is 1: invoke emnist-single instead"));
    }
    let queue = (settings.fan_out == FanOut::Async).then(|| host.queue()).transpose();
    let queue = queue.map_err(Refusal::bad_request)?;
    // Before a run begins to exist of which nobody could follow the replicas.
    let ready = if settings.workers == Workers::Auto { Some(follow::ready(&host).await?) } else { None };
    let config = plan(&host, settings).await?;
    // Named after the call: a setup that is delivered twice sets up one run.
    let name = run_name(&config.data.name, &call.call_id);
    let keys = RunKeys::new(&name)?;
    initialise(&host.store, &keys, &config).await?;
    match begin(&host.store, &name, &config).await {
        Ok(()) | Err(StateError::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let run = Run::new(host.store.clone(), keys, config);
    let queued = queue.is_some();
    let invoker: Arc<dyn Invoker> = match queue {
        Some(queue) => Arc::new(queue),
        None => host.invoker.clone(),
    };
    let placed = match ready {
        Some(ready) => follow::invite(&run, invoker, ready).await?,
        None if queued => fan_out::queue(&run, invoker).await?,
        None => fan_out::fan_out(&host, &run).await?,
    };
    answer(&run, &placed, queued)
}

/// Every worker of the run that is gone has a successor, who goes on where it stopped.
async fn bring_back(host: &Arc<Host>, name: String) -> Result<Reply, Refusal> {
    let store = host.store.clone();
    let run = host::blocking(move || {
        Run::open(store, &name).map_err(|error| match error {
            RunError::Unknown { .. } => Refusal::new(StatusCode::NOT_FOUND, error),
            RunError::Name(_) => Refusal::bad_request(error),
            other => other.into(),
        })
    });
    let run = run.await?;
    let placed = if run.config().is_elastic() {
        follow::invite(&run, host.invoker.clone(), follow::ready(host).await?).await?
    } else {
        fan_out::fan_out(host, &run).await?
    };
    answer(&run, &placed, false)
}

fn answer(run: &Run, placed: &Placed, queued: bool) -> Result<Reply, Refusal> {
    answer::json(
        StatusCode::OK,
        &json!({
            "run": run.name(),
            "dataset": run.config().data.name,
            "workers": placed.workers,
            "workers_requested": if run.config().is_elastic() { json!("auto") } else { json!(run.config().workers) },
            "left_out": placed.left_out,
            "queued": queued,
        }),
    )
}

/// Looks at the data, which are in the store afterwards where workers shall find them there.
async fn plan(host: &Arc<Host>, settings: Settings) -> Result<RunConfig, Refusal> {
    let store = host.store.clone();
    host::blocking(move || {
        let data = data::describe(&settings, &*store).map_err(Refusal::data)?;
        training::run_config(&settings, &data).map_err(Refusal::bad_request)
    })
    .await
}

/// Puts the initial parameters into the store; a run that exists has them already.
async fn initialise(store: &Arc<dyn Store>, keys: &RunKeys, config: &RunConfig) -> Result<(), Refusal> {
    let (store, keys, config) = (store.clone(), keys.clone(), config.clone());
    host::blocking(move || match Run::initialise(&*store, &keys, &config) {
        Ok(()) | Err(RunError::Exists { .. }) => Ok(()),
        Err(error @ RunError::Config(_)) => Err(Refusal::bad_request(error)),
        Err(error) => Err(error.into()),
    })
    .await
}

/// With its configuration in the store the run begins to exist.
#[stateful(
    store = store,
    create(stored = "dp:{{{name}}}:config", default = config.clone()),
    ttl = RUN_TTL,
)]
async fn begin(
    store: &Arc<dyn Store>,
    name: &str,
    config: &RunConfig,
    stored: &mut RunConfig,
) -> Result<(), StateError> {
    tracing::info!(run = name, workers = stored.workers, dataset = stored.data.name, "a run begins");
    Ok(())
}
