//! `emnist-train`: becomes a worker of a run, answers 202, and trains on to the end.

use std::process::ExitCode;
use std::sync::Arc;

use kit::worker::{self, Place};
use kit::{Host, Order, Refusal, answer, host};
use serde_json::json;
use sgd_lib::downpour::{Run, RunConfig};
use sgd_lib::state::StateError;
use sgd_lib::stateful;
use sgd_lib::store::{RunKeys, Store};
use watchdog::{Call, Reply, StatusCode};

fn main() -> ExitCode {
    Host::serve(train)
}

async fn train(host: Arc<Host>, call: Call) -> Result<Reply, Refusal> {
    let order = Order::parse(&call.body).map_err(Refusal::bad_request)?;
    let keys = RunKeys::new(&order.run).map_err(Refusal::bad_request)?;
    let Some(seat) = host.seat(&order.run, order.spread) else {
        return Err(Refusal::busy("this replica has a worker of the run already"));
    };
    let run = open(&host.store, &order.run, keys).await.map_err(unknown)?;
    // Data before the lease: a replica that has none must not take a place.
    let (keeper, wanted) = (host.clone(), run.config().data.clone());
    let data = host::blocking(move || Ok(keeper.data_for(&wanted)?)).await?;
    let place = Place { name: order.place.clone(), worker: order.worker, from: order.from, seat: Some(seat) };
    let claim = worker::begin(&host, call, run, data, place).await?;
    answer::placed(
        claim,
        |worker| json!({"run": order.run, "worker": worker, "pod": host.identity.pod, "node": host.identity.node}),
    )
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
