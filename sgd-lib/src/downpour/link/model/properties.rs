//! What holds in every state.

use super::process::{MISSED, Process};
use super::system::{Model, State};
use super::{Broken, Size, run};
use crate::downpour::log::Folded;
use crate::store::{EntryId, MemoryStore, Vector, progress};

/// See the model.
pub(super) fn check(model: &Model, state: &State) -> Result<(), String> {
    let size = &model.size;
    let all = load(&state.store, size)?;
    if model.is_new(state.store.hash) {
        streams(&state.store)?;
        counted_once("snapshot and log", &all.parameters, &all.vector, size)?;
        finishes(state, size)?;
    }
    for process in &state.processes {
        let stands = progress(&all.vector, process.worker).at.minibatch;
        if state.restarts == 0 && process.acknowledged() > stands {
            return Err(format!("a push of worker {} was acknowledged, and is gone", process.worker));
        }
        if process.is_ended_by(MISSED) {
            return Err(MISSED.to_owned());
        }
        if let Some((end, base)) = process.at_rest() {
            counted_once("a worker's base", base, &end.folded, size)?;
            if !size.fetch_snapshots && model.is_new(state.store.hash ^ process.hash.rotate_left(1)) {
                left_alone(process, &state.store, size, model.broken)?;
            }
        }
    }
    Ok(())
}

fn load(store: &MemoryStore, size: &Size) -> Result<Folded, String> {
    Folded::load(store, &run(), &size.rows()).map_err(|error| error.to_string())
}

/// Names ascend, and each entry names the one before it; the first may follow what was trimmed.
fn streams(store: &MemoryStore) -> Result<(), String> {
    for (stream, entries) in store.entries(&run()) {
        let mut last: Option<EntryId> = None;
        for entry in entries {
            if last.is_some_and(|last| entry.prev != last || entry.id <= last) {
                return Err(format!("stream {stream}: {} after {last:?} names {}", entry.id, entry.prev));
            }
            last = Some(entry.id);
        }
    }
    Ok(())
}

/// Each minibatch before a worker's position is there once, and none after it.
fn counted_once(what: &str, parameters: &[f32], vector: &Vector, size: &Size) -> Result<(), String> {
    for worker in 0..size.workers {
        let stands = progress(vector, worker).at.minibatch;
        for minibatch in 0..size.minibatches {
            let (found, wanted) =
                (parameters[size.parameter(worker, minibatch)], f32::from(u8::from(minibatch < stands)));
            if found != wanted {
                return Err(format!(
                    "{what} has minibatch {minibatch} of worker {worker} {found} times, not {wanted}"
                ));
            }
        }
    }
    Ok(())
}

/// Two requests later, with nobody else there, a worker has the sum of all, or has ended.
fn left_alone(process: &Process, store: &MemoryStore, size: &Size, broken: Broken) -> Result<(), String> {
    let (mut store, mut process) = (store.fork(), process.clone());
    let mut requests = 0;
    while requests < 2 && !process.has_ended() {
        (store, process) = process.step(&store, size, false, broken);
        requests += usize::from(process.at_rest().is_some());
    }
    let Some((_, base)) = process.at_rest() else { return Ok(()) };
    let all = load(&store, size)?;
    if base == all.parameters {
        Ok(())
    } else {
        Err(format!("a worker at rest has {base:?} of {:?}", all.parameters))
    }
}

/// Everybody stops, leases and locks end, and one successor after the other does what is left.
fn finishes(state: &State, size: &Size) -> Result<(), String> {
    let mut store = state.store.fork();
    store.unlock_all(&run());
    for worker in 0..size.workers {
        let mut process = Process::successor(worker, 1000 + worker as usize, &store, size);
        while process.goes_on(size) {
            (store, process) = process.step(&store, size, false, Broken::Nothing);
        }
    }
    let all = load(&store, size)?;
    let done = all.parameters[..size.rows()[0].1].iter().all(|parameter| *parameter == 1.0);
    if done { Ok(()) } else { Err(format!("successors end with {:?}", all.parameters)) }
}
