//! M calls of the train function; each becomes a worker, at once or when a queue brings it.

use std::sync::Arc;
use std::time::Duration;

use kit::worker::TRAIN_FUNCTION;
use kit::{Host, Order, Refusal, host};
use platform::invoker::{self, Call, InvokeError, Invoker, Reply};
use serde::Serialize;
use sgd_lib::downpour::Run;
use tokio::time::Instant;
use watchdog::StatusCode;

/// For so long every call looks for a replica that has no worker of the run yet.
const SPREAD: Duration = Duration::from_millis(500);
/// A worker that found no place by then is left out.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

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
/// delivered before, is [brought back](bring_back).
pub(crate) async fn fan_out(host: &Arc<Host>, run: &Run) -> Result<Placed, Refusal> {
    if let Some(workers) = fixed(run).await? {
        return bring_back(&host.invoker, run, workers).await;
    }
    let start = Instant::now();
    let unplaced = round(&host.invoker, run, orders(run, true), start + SPREAD).await?;
    let is_unplaced = |order: &Order| unplaced.iter().any(|left_out| left_out.place == order.place);
    let again = orders(run, false).into_iter().filter(is_unplaced).collect();
    let left_out = round(&host.invoker, run, again, start + PATIENCE).await?;
    let placed = Placed::without(run, left_out);
    if placed.workers == 0 {
        return Err(nobody(run, placed, "no worker found a place").await?);
    }
    let (run, workers) = (run.clone(), placed.workers);
    let workers = host::blocking(move || Ok(run.store().fix_workers(run.keys(), workers)?)).await?;
    Ok(Placed { workers, ..placed })
}

/// Puts a call for each worker wanted into `queue`. When it brings them, and how many, is its affair: so
/// the workers themselves fix their number (`sgd_lib::downpour::Worker::new`). A call that comes when
/// that is done finds no place, and ends.
pub(crate) async fn queue(run: &Run, queue: Arc<dyn Invoker>) -> Result<Placed, Refusal> {
    if let Some(workers) = fixed(run).await? {
        return bring_back(&queue, run, workers).await;
    }
    let left_out = round(&queue, run, orders(run, false), Instant::now() + PATIENCE).await?;
    let placed = Placed::without(run, left_out);
    if placed.workers == 0 {
        return Err(nobody(run, placed, "the gateway queued no call").await?);
    }
    Ok(placed)
}

/// Calls the train function for each of the run's `workers` whose lease nobody holds: where all are gone, nobody
/// is left to ask for successors. Whoever comes goes on from the log. A run that is over stays so.
async fn bring_back(invoker: &Arc<dyn Invoker>, run: &Run, workers: u32) -> Result<Placed, Refusal> {
    let looked_at = run.clone();
    let gone = host::blocking(move || {
        let (store, keys) = (looked_at.store(), looked_at.keys());
        let over = store.control(keys)?.stop.is_some();
        let held = if over { Vec::new() } else { store.held(keys, 0..workers)? };
        Ok((0..).zip(held).filter(|(_, held)| !held).map(|(worker, _)| worker).collect::<Vec<u32>>())
    })
    .await?;
    if !gone.is_empty() {
        tracing::info!(run = run.name(), ?gone, "nobody works there: asking for successors");
    }
    let order = |worker| Order {
        run: run.name().to_owned(),
        place: format!("{}-again-{worker}", run.name()),
        worker: Some(worker),
        from: None,
        spread: false,
    };
    let orders = gone.into_iter().map(order).collect();
    let left_out = round(invoker, run, orders, Instant::now() + PATIENCE).await?;
    Ok(Placed { workers, left_out })
}

/// The number of workers, where it is fixed already.
async fn fixed(run: &Run) -> Result<Option<u32>, Refusal> {
    let run = run.clone();
    host::blocking(move || Ok(run.store().control(run.keys())?.workers)).await
}

/// A call for each worker, each with a name: delivered again, it is the same worker.
fn orders(run: &Run, spread: bool) -> Vec<Order> {
    let name = || run.name().to_owned();
    let order = |number| Order {
        run: name(),
        place: format!("{}-{number}", name()),
        worker: None,
        from: None,
        spread,
    };
    (0..run.config().workers).map(order).collect()
}

impl Placed {
    fn without(run: &Run, left_out: Vec<LeftOut>) -> Self {
        let missing = u32::try_from(left_out.len()).unwrap_or(u32::MAX);
        Self { workers: run.config().workers.saturating_sub(missing), left_out }
    }
}

/// Deletes the run, since nobody will work on it; says why.
pub(crate) async fn nobody(run: &Run, placed: Placed, what: &str) -> Result<Refusal, Refusal> {
    let why = placed.left_out.into_iter().next().map_or_else(String::new, |left_out| left_out.why);
    let run = run.clone();
    host::blocking(move || Ok(run.delete()?)).await?;
    let text = format!("{what} within {} s: {why}", PATIENCE.as_secs());
    Ok(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, text))
}

/// All calls at the same time; returns those that got no place.
pub(crate) async fn round(
    invoker: &Arc<dyn Invoker>,
    run: &Run,
    orders: Vec<Order>,
    deadline: Instant,
) -> Result<Vec<LeftOut>, Refusal> {
    let call = |order: &Order| Ok(Call { call_id: order.place.clone(), body: order.to_body()? });
    let calls = orders.iter().map(call).collect::<Result<_, Refusal>>()?;
    let answers = invoker::fan_out(invoker.clone(), TRAIN_FUNCTION, calls, deadline).await;
    let unplaced = orders.into_iter().zip(answers).filter_map(|(Order { place, spread, .. }, answer)| {
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
    use platform::invoker::InvokeFuture;
    use platform::settings::Settings;
    use sgd_lib::downpour::{DataRef, RunConfig};
    use sgd_lib::network::Architecture;
    use sgd_lib::store::{Claim, MemoryStore};

    /// Nobody answers.
    struct Nobody;

    impl Invoker for Nobody {
        fn invoke<'a>(&'a self, _function: &'a str, _body: Vec<u8>, _call_id: &'a str) -> InvokeFuture<'a> {
            Box::pin(pending())
        }
    }

    /// A queue that gives every call this answer.
    struct Queue(u16, &'static str);

    impl Invoker for Queue {
        fn invoke<'a>(&'a self, _function: &'a str, _body: Vec<u8>, _call_id: &'a str) -> InvokeFuture<'a> {
            let reply = Reply { status: self.0, headers: Default::default(), body: self.1.into() };
            Box::pin(async { Ok(reply) })
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    fn config() -> RunConfig {
        RunConfig::new(DataRef::named("test"), Architecture::new(4, &[3], 2).unwrap())
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
        let placed = runtime().block_on(fan_out(&host, &run));
        assert!(placed.is_ok_and(|placed| placed.workers == 2 && placed.left_out.is_empty()));
        assert_eq!(run.store().runs().unwrap(), ["run"]);
    }

    #[test]
    fn only_the_places_that_nobody_holds_are_asked_for_again() {
        let run = Run::create(Arc::new(MemoryStore::new()), "run", config()).unwrap();
        run.store().fix_workers(run.keys(), 2).unwrap();
        let lease = Duration::from_secs(60);
        assert!(matches!(run.claim("here", Some(0), lease).unwrap(), Claim::Granted { .. }));
        let gone = |status| {
            let placed =
                runtime().block_on(queue(&run, Arc::new(Queue(status, "")))).unwrap_or_else(|_| panic!());
            assert_eq!(placed.workers, 2);
            placed.left_out.into_iter().map(|left_out| left_out.place).collect::<Vec<_>>()
        };
        assert_eq!(gone(500), ["run-again-1"]);
        assert_eq!(gone(202), [""; 0]);
        assert!(matches!(run.claim("there", Some(1), lease).unwrap(), Claim::Granted { .. }));
        assert_eq!(gone(500), [""; 0], "nobody is asked");
    }

    #[test]
    fn what_is_queued_leaves_the_number_of_workers_to_the_workers() {
        let run = Run::create(Arc::new(MemoryStore::new()), "run", config()).unwrap();
        let placed = runtime().block_on(queue(&run, Arc::new(Queue(202, ""))));
        assert!(placed.is_ok_and(|placed| placed.workers == 2 && placed.left_out.is_empty()));
        assert_eq!(run.store().control(run.keys()).unwrap().workers, None);
    }

    #[test]
    fn a_gateway_without_a_queue_leaves_no_run_behind() {
        let run = Run::create(Arc::new(MemoryStore::new()), "run", config()).unwrap();
        let answer = runtime().block_on(queue(&run, Arc::new(Queue(404, "404 page not found\n"))));
        let reply = answer.err().unwrap().reply();
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        let text = String::from_utf8_lossy(&reply.body);
        assert!(text.contains("queued no call within 10 s: 404 404 page not found"), "{text}");
        assert!(run.store().runs().unwrap().is_empty());
    }
}
