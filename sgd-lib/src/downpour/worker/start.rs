//! What a worker does before its first minibatch.

use std::time::{Duration, Instant};

use super::{Identity, WorkerError};
use crate::dataset::Split;
use crate::downpour::config::RunConfig;
use crate::downpour::record::WorkerRecord;
use crate::downpour::run::Run;
use crate::state;
use crate::store::{Cursors, Exchange, Lease, RunKeys, Store, StoreError};

/// How long a worker waits for setup to say how many workers there are.
const START_PATIENCE: Duration = Duration::from_secs(15);

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

/// Setup fixes the number of workers when every one has its place, or is given up. Should setup have
/// died, the workers that are there go on by themselves. The lease is kept meanwhile.
pub(super) fn wait_for_start(store: &dyn Store, run: &RunKeys, lease: &Lease) -> Result<u32, StoreError> {
    let deadline = Instant::now() + START_PATIENCE;
    let mut pause = Duration::from_micros(500);
    loop {
        let look = Exchange { lease: Some(lease), cursors: Some(&Cursors::new()), ..Exchange::default() };
        let control = store.exchange(run, &look)?.control;
        match control.workers {
            Some(workers) => return Ok(workers),
            None if control.stop.is_some() || Instant::now() > deadline => break,
            None => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    let streams = store.streams(run)?;
    tracing::warn!(workers = streams, "setup did not say how many workers there are: those that are here");
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
