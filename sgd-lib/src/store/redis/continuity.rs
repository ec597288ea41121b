//! Whether the store still has what it had.
//!
//! A Redis that was killed comes back without the last second of its log, or empty. Whoever pushed or read what
//! is gone now must not go on from there. Since a restart breaks every connection, one that is older than all
//! that was read and written shows that nothing is lost; on any other the store is asked, before anything is
//! written on it.

use std::time::Instant;

use redis::{RedisResult, Value};

use super::wire::Wire;
use super::{last_id, parse, scripts};
use crate::store::{Cursors, Exchange, RunKeys, StoreError};

/// Asks, where the connection is newer than what is known; returns when it was made if it asked.
/// The inner error: the store has lost something.
pub(super) fn check(
    wire: &mut Wire,
    address: &str,
    run: &RunKeys,
    wanted: &Exchange<'_>,
) -> RedisResult<Result<Option<Instant>, StoreError>> {
    let Some(known) = wanted.known.filter(|known| wire.made > known.since) else { return Ok(Ok(None)) };
    let known = (known.ends)();
    let mut pipeline = redis::pipe();
    pipeline.cmd("EXISTS").arg(run.config());
    for stream in known.keys() {
        pipeline.add_command(scripts::LAST_ID.key(&run.log(*stream)).command());
    }
    Ok(compare(address, run, &known, pipeline.query(wire)?).map(|()| Some(wire.made)))
}

/// Whether the run exists, and where each stream ends, against how far it was known.
fn compare(address: &str, run: &RunKeys, known: &Cursors, replies: Vec<Value>) -> Result<(), StoreError> {
    let mut replies = replies.into_iter();
    let exists = replies.next().unwrap_or_default();
    if parse::integer(&run.config(), &exists)? == 0 {
        return Err(StoreError::Emptied { address: address.to_owned(), run: run.run().to_owned() });
    }
    for ((stream, known), end) in known.iter().zip(replies) {
        let key = run.log(*stream);
        let found = last_id(&key, end)?;
        if found < *known {
            let (address, found, known) = (address.to_owned(), found.to_string(), known.to_string());
            return Err(StoreError::Forgot { address, key, found, known });
        }
    }
    Ok(())
}
