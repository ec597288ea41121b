//! Going on where a predecessor stopped.

use super::Relays;
use super::relay::{Relay, RelayError, Route, Side};
use crate::downpour::log::{Folded, cursors};
use crate::downpour::run::Run;
use crate::downpour::site::{Site, heard};
use crate::store::{FROM_ABOVE, Lease, Position};
use std::time::Duration;

/// The two directions of the synchronizer that holds `above`, the lease of the node's stream in the global
/// store, and `below`, that of [`FROM_ABOVE`] in the node's.
pub(super) fn relays(run: &Run, site: &Site, above: &Lease, below: &Lease) -> Result<Relays, RelayError> {
    let config = run.config();
    let rows = config.architecture.rows();
    let global = Side { store: run.store().clone(), keys: run.keys().clone() };
    let local = Side { store: site.store.clone(), keys: site.keys.clone() };
    // Both streams are fenced: what stands there now is all that predecessors passed on.
    let here = Folded::load(&*local.store, &local.keys, &rows)?;
    let there = Folded::load(&*global.store, &global.keys, &rows)?;
    let up = Route {
        from: local.clone(),
        to: global.clone(),
        lease: above.clone(),
        twin: FROM_ABOVE,
        reader: site.number,
        rows: rows.clone(),
        codec: config.codec,
        end: Position { epoch: config.epochs, minibatch: 0 },
    };
    let down = Route { from: global, to: local, lease: below.clone(), twin: site.number, ..up.clone() };
    let (mut up, mut down) = (begin(up, &there)?, begin(down, &here)?);
    if config.algorithm.is_synchronous() {
        // The difference would be of several rounds: what is left is read again, and only rounding is lost.
        up.keep_rounds_apart();
        down.keep_rounds_apart();
    } else if up.passed().entries > 0 {
        recover(&mut up, &mut down, &here, &there)?;
    }
    down.go_verbatim()?;
    Ok(Relays { up, down })
}

/// Goes on from the fence of the stream that is written, which a store that was restarted may have lost.
fn begin(route: Route, loaded: &Folded) -> Result<Relay, RelayError> {
    let mark = loaded.vector.get(&route.lease.worker);
    let mark = mark.filter(|mark| mark.id.token == route.lease.token).ok_or(RelayError::Replaced)?;
    Ok(Relay::new(route, mark.passed.clone(), loaded.since))
}

/// A predecessor's rounding is not lost with it. In the node's store is everything that came down so far and
/// all that its workers pushed; in the global store is what came down, what has still to come, and what the
/// node passed on. So the difference is what the node has not passed on, minus what has still to come.
fn recover(up: &mut Relay, down: &mut Relay, here: &Folded, there: &Folded) -> Result<(), RelayError> {
    let limit = cursors(&there.vector, None);
    while down.read(Duration::ZERO, Some(&limit))? {}
    let both = here.parameters.iter().zip(&there.parameters);
    let sum = both.zip(down.sum()).map(|((here, there), to_come)| here - there + to_come).collect();
    let mut read = heard(&here.vector, FROM_ABOVE);
    let passed = up.passed();
    for (worker, progress) in &passed.workers {
        read.hear(*worker, *progress);
    }
    (read.entries, read.bytes, read.bytes_read) = (passed.entries, passed.bytes, passed.bytes_read);
    up.take_over(sum, read);
    Ok(())
}
