//! The first workers of a run that follows the ready replicas; those ask for all others.

use std::sync::Arc;
use std::time::Duration;

use kit::worker::TRAIN_FUNCTION;
use kit::{Host, Order, Refusal, host};
use platform::invoker::Invoker;
use platform::replicas::ReplicasError;
use sgd_lib::downpour::{MOST_WORKERS, Run};
use tokio::time::{Instant, sleep};
use watchdog::StatusCode;

use crate::fan_out::{PATIENCE, Placed, nobody, round};

/// Between two questions to a gateway that did not answer.
const PAUSE: Duration = Duration::from_millis(200);

/// How many replicas are ready; where there are none, a call brings one. A gateway that does not answer is asked
/// again for as long as a worker without a place would be.
pub(crate) async fn ready(host: &Host) -> Result<u32, Refusal> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match async { host.replicas()?.ready(TRAIN_FUNCTION).await }.await {
            Ok(ready) => return Ok(ready.clamp(1, MOST_WORKERS)),
            Err(
                error @ (ReplicasError::NoGateway(_) | ReplicasError::Secret(_) | ReplicasError::Password),
            ) => {
                return Err(Refusal::bad_request(error));
            }
            Err(ReplicasError::Gateway(_)) if Instant::now() + PAUSE < deadline => sleep(PAUSE).await,
            Err(error) => return Err(Refusal::new(StatusCode::BAD_GATEWAY, error)),
        }
    }
}

/// Calls the train function once for each of `ready` replicas, which has no worker of the run yet. Where somebody
/// works on the run already, nothing is left to do.
pub(crate) async fn invite(run: &Run, invoker: Arc<dyn Invoker>, ready: u32) -> Result<Placed, Refusal> {
    let looked_at = run.clone();
    let status = host::blocking(move || Ok(looked_at.status()?)).await?;
    let working = status.held.iter().filter(|held| **held).count();
    if working > 0 || status.control.stop.is_some() {
        return Ok(Placed { workers: u32::try_from(working).unwrap_or(u32::MAX), left_out: Vec::new() });
    }
    let order = |worker| Order {
        run: run.name().to_owned(),
        place: format!("{}-{worker}", run.name()),
        worker: Some(worker),
        from: None,
        spread: true,
    };
    let left_out = round(&invoker, run, (0..ready).map(order).collect(), Instant::now() + PATIENCE).await?;
    let workers = ready.saturating_sub(u32::try_from(left_out.len()).unwrap_or(u32::MAX));
    let placed = Placed { workers, left_out };
    // Nobody has ever worked on it.
    if workers == 0 && status.changes.is_empty() {
        return Err(nobody(run, placed, "no worker found a place").await?);
    }
    Ok(placed)
}
