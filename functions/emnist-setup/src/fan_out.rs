//! M calls through the gateway; each becomes a worker.

use std::sync::Arc;
use std::time::Duration;

use kit::worker::TRAIN_FUNCTION;
use kit::{Host, Order, Refusal, host};
use platform::invoker::{self, Call, InvokeError, Reply};
use serde::Serialize;
use sgd_lib::downpour::Run;
use tokio::time::Instant;
use watchdog::StatusCode;

/// For so long every call looks for a replica that has no worker of the run yet.
const SPREAD: Duration = Duration::from_millis(500);
/// A worker that found no place by then is left out.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of the fan-out.
pub(crate) struct Placed {
    /// Workers that the run has.
    pub(crate) workers: u32,
    /// Those that found no place.
    pub(crate) left_out: Vec<LeftOut>,
}

/// A call that found no place, and why.
#[derive(Serialize)]
pub(crate) struct LeftOut {
    place: String,
    why: String,
}

/// Calls the train function once for each worker wanted; those that found no place are left out, and
/// the number of workers becomes the number placed.
pub(crate) async fn fan_out(host: &Arc<Host>, run: &Run) -> Result<Placed, Refusal> {
    let start = Instant::now();
    let places = (0..run.config().workers).map(|number| format!("{}-{number}", run.name())).collect();
    let unplaced = round(host, run, places, true, start + SPREAD).await?;
    let places = unplaced.into_iter().map(|left_out| left_out.place).collect();
    let left_out = round(host, run, places, false, start + PATIENCE).await?;
    let placed = run.config().workers - u32::try_from(left_out.len()).unwrap_or(u32::MAX);
    let run = run.clone();
    if placed == 0 {
        let why = left_out.into_iter().next().map_or_else(String::new, |left_out| left_out.why);
        host::blocking(move || Ok(run.delete()?)).await?;
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("no worker found a place within {} s: {why}", PATIENCE.as_secs()),
        ));
    }
    let workers = host::blocking(move || Ok(run.store().fix_workers(run.keys(), placed)?)).await?;
    Ok(Placed { workers, left_out })
}

/// One call for each of `places`, all at the same time; returns those that got none.
async fn round(
    host: &Host,
    run: &Run,
    places: Vec<String>,
    spread: bool,
    deadline: Instant,
) -> Result<Vec<LeftOut>, Refusal> {
    let mut calls = Vec::with_capacity(places.len());
    for place in &places {
        let order = Order { run: run.name().to_owned(), place: place.clone(), worker: None, spread };
        calls.push(Call { call_id: place.clone(), body: order.to_body()? });
    }
    let answers = invoker::fan_out(host.invoker.clone(), TRAIN_FUNCTION, calls, deadline).await;
    let unplaced = places.into_iter().zip(answers).filter_map(|(place, answer)| {
        let why = failure(answer)?;
        tracing::warn!(run = run.name(), place, why, spread, "found no place");
        Some(LeftOut { place, why })
    });
    Ok(unplaced.collect())
}

fn failure(answer: Result<Reply, InvokeError>) -> Option<String> {
    match answer {
        Ok(reply) if (200..300).contains(&reply.status) => None,
        Ok(reply) => {
            let body = String::from_utf8_lossy(&reply.body);
            Some(format!("{} {}", reply.status, body.lines().next().unwrap_or_default()))
        }
        Err(error) => Some(error.to_string()),
    }
}
