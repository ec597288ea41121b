//! Workers in threads of this process: what a train function runs once its invocation was answered.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sgd_lib::dataset::Split;
use sgd_lib::downpour::{Compute, Departure, Identity, Run, Surroundings, Worker};
use sgd_lib::store::Claim;

/// A worker that stops for longer than this has lost its place.
const LEASE: Duration = Duration::from_secs(60);

/// Does something for each of so many workers, all at once, each in a thread.
///
/// # Errors
/// One of them failed.
pub(crate) fn together(workers: u32, work: impl Fn(u32) -> Result<()> + Sync) -> Result<()> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a worker panicked")?)
    })
}

/// One worker of a run, until the run is over. It trains on the first split, or does what `compute` does instead,
/// and tries the parameters on the second.
///
/// # Errors
/// There is no place for it, it fails, or it left for another reason.
pub(crate) fn work<'a>(
    run: &Run,
    worker: u32,
    (train, test): (Split<'a>, Split<'a>),
    surroundings: &'a dyn Surroundings,
    compute: Option<Box<dyn Compute + 'a>>,
) -> Result<()> {
    let claim = run.claim(&worker.to_string(), Some(worker), LEASE)?;
    let Claim::Granted { lease, resumed, .. } = claim else {
        bail!("no place for worker {worker}: {claim:?}")
    };
    let identity = Identity { node: "here".to_owned(), pod: worker.to_string() };
    let mut worker = Worker::new(run, lease, resumed, &identity, train, test, surroundings)?;
    if let Some(compute) = compute {
        worker = worker.computing(compute);
    }
    match worker.train()? {
        Departure::Finished(_) => Ok(()),
        other => bail!("a worker left: {other:?}"),
    }
}

/// A place that nobody has to leave.
pub(crate) struct Undisturbed;

impl Surroundings for Undisturbed {
    fn must_leave(&self) -> bool {
        false
    }

    /// A worker that is slow to begin is no worker that died.
    fn recruit(&self, _worker: u32) {}
}
