//! `emnist-train`: becomes a worker of a run, answers 202, and trains on to the end.

use std::process::ExitCode;
use std::sync::Arc;

use kit::{Host, Order, Refusal, answer, host, worker};
use serde_json::json;
use sgd_lib::downpour::{Run, RunConfig};
use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::{Claim, RunKeys, Store};
use watchdog::{Call, Reply, StatusCode};

fn main() -> ExitCode {
    Host::serve(train)
}

async fn train(host: Arc<Host>, call: Call) -> Result<Reply, Refusal> {
    let order = Order::parse(&call.body).map_err(Refusal::bad_request)?;
    let keys = RunKeys::new(&order.run).map_err(Refusal::bad_request)?;
    if order.spread && host.has_worker_of(&order.run) {
        return Err(Refusal::busy("this replica has a worker of the run already"));
    }
    let run = open(&host.store, &order.run, keys).await.map_err(unknown)?;
    // Data before the lease: a replica that has none must not take a place.
    let (settings, wanted) = (host.settings.clone(), run.config().data.clone());
    let store = host.store.clone();
    let data = host::blocking(move || Ok(platform::data::open_for(&settings, &wanted, &*store)?)).await?;
    match worker::begin(&host, call, run, data, order.place.clone(), order.worker).await? {
        Claim::Granted { lease, .. } => {
            answer::json(StatusCode::ACCEPTED, &place(&host, &order, lease.worker))
        }
        Claim::Duplicate { worker } => answer::json(StatusCode::OK, &place(&host, &order, worker)),
        Claim::Taken => Err(Refusal::new(StatusCode::CONFLICT, "every place of the run is taken")),
        Claim::Over { reason } => Err(Refusal::new(StatusCode::GONE, format!("the run is over: {reason}"))),
    }
}

/// The run, its configuration read from the store.
#[stateful(store = store, get(config = "dp:{{{name}}}:config"))]
async fn open(
    store: &Arc<dyn Store>,
    name: &str,
    keys: RunKeys,
    config: RunConfig,
) -> Result<Run, StateError> {
    debug_assert_eq!(keys.run(), name, "the key above is RunKeys::config");
    Ok(Run::new(store.clone(), keys, config))
}

fn unknown(error: StateError) -> Refusal {
    match error {
        StateError::Missing { .. } => Refusal::new(StatusCode::NOT_FOUND, format!("no such run: {error}")),
        other => other.into(),
    }
}

fn place(host: &Host, order: &Order, worker: u32) -> serde_json::Value {
    json!({"run": order.run, "worker": worker, "pod": host.identity.pod, "node": host.identity.node})
}
