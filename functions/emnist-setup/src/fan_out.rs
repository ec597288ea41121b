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
/// the number of workers becomes the number placed. A run that has its number, since its setup was
/// delivered before, stays as it is.
pub(crate) async fn fan_out(host: &Arc<Host>, run: &Run) -> Result<Placed, Refusal> {
    let earlier = run.clone();
    let control = host::blocking(move || Ok(earlier.store().control(earlier.keys())?)).await?;
    if let Some(workers) = control.workers {
        return Ok(Placed { workers, left_out: Vec::new() });
    }
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
        let order =
            Order { run: run.name().to_owned(), place: place.clone(), worker: None, from: None, spread };
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    use platform::identity::Identity;
    use platform::invoker::{InvokeFuture, Invoker};
    use platform::settings::Settings;
    use sgd_lib::codec::Codec;
    use sgd_lib::dataset::Transpose;
    use sgd_lib::downpour::{Algorithm, Combine, DataRef, Database, RunConfig};
    use sgd_lib::network::Architecture;
    use sgd_lib::optimizer::{LearningRateSchedule, OptimizerKind};
    use sgd_lib::store::MemoryStore;

    /// Nobody answers.
    struct Nobody;

    impl Invoker for Nobody {
        fn invoke<'a>(&'a self, _function: &'a str, _body: Vec<u8>, _call_id: &'a str) -> InvokeFuture<'a> {
            Box::pin(pending())
        }
    }

    fn config() -> RunConfig {
        RunConfig {
            data: DataRef {
                name: "test".into(),
                folder: None,
                in_store: false,
                transpose: Transpose::Auto,
                digest: 0,
            },
            architecture: Architecture::new(4, &[3], 2).unwrap(),
            workers: 2,
            batch_size: 32,
            n_fetch: 10,
            n_push: 10,
            learning_rate: 0.5,
            schedule: LearningRateSchedule::Constant,
            epochs: 1,
            target_accuracy: None,
            dropout: 0.2,
            optimizer: OptimizerKind::Sgd,
            algorithm: Algorithm::Downpour,
            combine: Combine::Mean,
            database: Database::Global,
            n_sync: 10,
            codec: Codec::F32,
            seed: 1,
            train_type: 3,
        }
    }

    #[test]
    fn a_setup_that_is_delivered_again_does_not_delete_its_run() {
        let store = Arc::new(MemoryStore::new());
        let run = Run::create(store.clone(), "run", config()).unwrap();
        run.store().fix_workers(run.keys(), 2).unwrap();
        // It is over: from now on nobody is given a place.
        run.stop().unwrap();
        let identity = Identity::from_environment(|_| None);
        let host = Arc::new(Host::new(Settings::default(), store, Arc::new(Nobody), identity));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let placed = runtime.block_on(fan_out(&host, &run));
        assert!(placed.is_ok_and(|placed| placed.workers == 2 && placed.left_out.is_empty()));
        assert_eq!(run.store().runs().unwrap(), ["run"]);
    }
}
