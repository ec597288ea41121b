//! What a worker does before its first minibatch.

use std::time::{Duration, Instant};

use super::{Identity, WorkerError};
use crate::dataset::Split;
use crate::downpour::config::RunConfig;
use crate::downpour::record::WorkerRecord;
use crate::downpour::run::Run;
use crate::state;
use crate::store::{Cursors, Exchange, FIRST_NODE, Lease, RunKeys, Store, StoreError};

/// How long a worker waits for the others. More than the ten seconds after which a queue tries a call
/// again that found no place at first.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// Whether the data fit the run.
pub(super) fn check_data(config: &RunConfig, train: Split<'_>, test: Split<'_>) -> Result<(), WorkerError> {
    let wanted = config.architecture.inputs() as u64;
    for split in [train, test] {
        let found = split.pixels as u64;
        if found != wanted {
            return Err(WorkerError::Data { what: "pixels per image", found, wanted });
        }
    }
    for (what, split) in [("training images", train), ("test images", test)] {
        if split.is_empty() {
            return Err(WorkerError::Data { what, found: 0, wanted: 1 });
        }
    }
    let classes = config.architecture.outputs() as u64;
    let highest = train.labels.iter().chain(test.labels).max().map_or(0, |&label| u64::from(label));
    if highest >= classes {
        return Err(WorkerError::Data { what: "classes or more", found: highest + 1, wanted: classes });
    }
    Ok(())
}

/// The number of workers is fixed once: by setup, when every call has its place or is given up; by the
/// workers, when all `wanted` are there, or when one has waited long enough, to those that are. So a run
/// begins too where setup died, and where a queue brings the calls later, or never. The lease is kept
/// meanwhile. Where workers come and go each begins alone.
pub(super) fn wait_for_start(
    store: &dyn Store,
    run: &RunKeys,
    lease: &Lease,
    config: &RunConfig,
) -> Result<u32, StoreError> {
    if config.is_elastic() {
        return Ok(1);
    }
    let wanted = config.workers;
    let deadline = Instant::now() + START_PATIENCE;
    let mut pause = Duration::from_micros(500);
    loop {
        let look = Exchange { lease: Some(lease), cursors: Some(&Cursors::new()), ..Exchange::default() };
        let found = store.exchange(run, &look)?;
        let workers = found.streams.iter().filter(|stream| **stream < FIRST_NODE).count();
        match found.control.workers {
            Some(workers) => return Ok(workers),
            None if workers >= wanted as usize => return store.fix_workers(run, wanted),
            None if found.control.stop.is_some() || Instant::now() > deadline => break,
            None => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    let streams = store.streams(run)?;
    tracing::warn!(workers = streams, "not all workers have come: those that are here begin");
    store.fix_workers(run, streams.max(1))
}

/// The worker's record, this invocation counted; `unplanned`: its predecessor was cut short.
pub(super) fn read_record(
    run: &Run,
    lease: &Lease,
    identity: &Identity,
    unplanned: bool,
) -> Result<(WorkerRecord, u64), state::StateError> {
    let found = state::get::<WorkerRecord>(&**run.store(), &run.keys().worker(lease.worker))?;
    let (mut record, version) = found.map_or_else(Default::default, |found| (found.value, found.version));
    record.worker = lease.worker;
    record.node.clone_from(&identity.node);
    record.pod.clone_from(&identity.pod);
    record.on_node = run.site.is_some();
    record.invocations += 1;
    record.handovers += u32::from(unplanned);
    Ok((record, version))
}
