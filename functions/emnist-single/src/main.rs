//! `emnist-single`: initialises a network and trains it in one invocation, without other workers.

use std::process::ExitCode;
use std::sync::Arc;

use kit::worker::{self, Place};
use kit::{Host, Refusal, answer, host};
use platform::settings::Settings;
use platform::{data, training};
use serde_json::json;
use sgd_lib::dataset::Dataset;
use sgd_lib::downpour::{Run, RunError, run_name};
use sgd_lib::store::Store;
use watchdog::{Call, Reply};

fn main() -> ExitCode {
    Host::serve(single)
}

async fn single(host: Arc<Host>, call: Call) -> Result<Reply, Refusal> {
    let body = call.body.clone();
    let settings = host.settings.clone().overridden_by_json(&body).map_err(Refusal::bad_request)?;
    let settings = settings.overridden_by_flag("train-type", "1").map_err(Refusal::bad_request)?;
    let (store, call_id) = (host.store.clone(), call.call_id.clone());
    let (run, data) = host::blocking(move || prepare(store, &settings, &call_id)).await?;
    let accepted = json!({"run": run.name(), "dataset": run.config().data.name, "workers": 1});
    let place = Place { name: call.call_id.clone(), worker: Some(0), from: None, seat: None };
    let claim = worker::begin(&host, call, run, Arc::new(data), place).await?;
    answer::placed(claim, |_| accepted)
}

/// Opens the data and creates the run; a call that is delivered twice finds it there.
fn prepare(store: Arc<dyn Store>, settings: &Settings, call_id: &str) -> Result<(Run, Dataset), Refusal> {
    let manifest = data::describe(settings, &*store).map_err(Refusal::data)?;
    let config = training::run_config(settings, &manifest).map_err(Refusal::bad_request)?;
    let data = data::open_for(settings, &config.data, &*store)?;
    let name = run_name(&config.data.name, call_id);
    let run = match Run::open(store.clone(), &name) {
        Ok(run) => run,
        Err(RunError::Unknown { .. }) => Run::create(store, &name, config)?,
        Err(error) => return Err(error.into()),
    };
    run.store().fix_workers(run.keys(), 1)?;
    Ok((run, data))
}
