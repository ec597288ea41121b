//! Push, renewal, events and fetch as one pipeline.

use redis::{Pipeline, RedisResult, Value};

use super::connection::{Pool, may_pass};
use super::continuity;
use super::wire::{LINE_END, packed_but_last};
use super::{LONGEST_WAIT, encode, last_id, millis, parse, scripts};
use crate::store::entry::EntryMeta;
use crate::store::{
    Cursors, Entry, EntryId, Exchange, Exchanged, Lease, PushOutcome, RUN_TTL, RunKeys, StoreError,
};

/// Events kept per run, about.
const MAX_EVENTS: usize = 20_000;
/// More streams than any run has: so many members are all.
const MOST_STREAMS: u32 = 1 << 20;

/// One round trip, and a second one only where the push was refused.
pub(super) fn exchange(pool: &Pool, run: &RunKeys, wanted: &Exchange<'_>) -> Result<Exchanged, StoreError> {
    let mut pipeline = redis::pipe();
    let push = match (wanted.push, wanted.lease) {
        (Some(entry), Some(lease)) => Some((push(&run.log(lease.worker), entry)?, entry.payload.as_slice())),
        _ => None,
    };
    if let Some(lease) = renewed(wanted) {
        pipeline.add_command(renewal(run, lease).command());
    }
    for event in wanted.events {
        let mut add = redis::cmd("XADD");
        add.arg(run.events()).arg("MAXLEN").arg("~").arg(MAX_EVENTS).arg("*").arg("event").arg(event);
        pipeline.add_command(add);
    }
    if !wanted.events.is_empty() {
        pipeline.cmd("PEXPIRE").arg(run.events()).arg(millis(RUN_TTL));
    }
    if let Some((reader, cursors)) = wanted.reader {
        let cursors = encode(&run.readers(), cursors, "cursors that can be stored")?;
        pipeline.cmd("HSET").arg(run.readers()).arg(reader).arg(cursors);
        pipeline.cmd("PEXPIRE").arg(run.readers()).arg(millis(RUN_TTL));
    }
    if let Some(cursors) = wanted.cursors {
        fetch(&mut pipeline, run, cursors, wanted);
    }
    let count = pipeline.len() + usize::from(push.is_some());
    let mut rest = pipeline.get_packed_pipeline();
    let (head, payload) = push.unwrap_or_default();
    if !head.is_empty() {
        rest.splice(..0, LINE_END.iter().copied());
    }
    let (reconnected, replies) = pool.run("an exchange", |connection| {
        let reconnected = match continuity::check(connection, &pool.address, run, wanted)? {
            Ok(reconnected) => reconnected,
            Err(error) => return Ok(Err(error)),
        };
        let replies = connection.ask([&head, payload, &rest], count)?;
        // A store that loads its log refuses each command by itself.
        match replies.iter().filter_map(|reply| reply.as_ref().err()).find(|error| may_pass(error)) {
            Some(error) => Err(error.clone()),
            None => Ok(Ok((reconnected, replies))),
        }
    })??;
    Ok(Exchanged { reconnected, ..read(pool, run, wanted, replies)? })
}

/// The command that appends the entry, up to its payload.
fn push(key: &str, entry: &Entry) -> Result<Vec<u8>, StoreError> {
    let meta = EntryMeta {
        progress: entry.progress.unwrap_or_default(),
        seen: entry.seen.clone(),
        passed: entry.passed.clone(),
    };
    let meta = encode(key, &meta, "an entry that can be stored")?;
    let (id, prev) = (entry.id.to_string(), entry.prev.to_string());
    // NOMKSTREAM: only a fence makes a stream, so no late push can revive a deleted run.
    let named = [key, "NOMKSTREAM", &id, "kind", entry.kind.name(), "prev", &prev, "meta"].map(str::as_bytes);
    let arguments = [&[b"XADD".as_slice()], named.as_slice(), &[&meta, b"delta"]].concat();
    Ok(packed_but_last(&arguments, entry.payload.len()))
}

fn renewed<'a>(wanted: &Exchange<'a>) -> Option<&'a Lease> {
    wanted.lease.filter(|_| !wanted.lease_is_fresh)
}

fn renewal<'a>(run: &RunKeys, lease: &Lease) -> scripts::Call<'a> {
    scripts::RENEW
        .key(&run.lease(lease.worker))
        .key(&run.log(lease.worker))
        .arg(lease.value())
        .arg(lease.token)
        .arg(millis(lease.ttl))
}

fn fetch(pipeline: &mut Pipeline, run: &RunKeys, cursors: &Cursors, wanted: &Exchange<'_>) {
    pipeline.cmd("HMGET").arg(run.control()).arg("stop").arg("workers");
    pipeline.cmd("HGET").arg(run.snapshot()).arg("version");
    if !cursors.is_empty() {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(wanted.entries_per_stream.max(1));
        if !wanted.wait.is_zero() {
            read.arg("BLOCK").arg(millis(wanted.wait.min(LONGEST_WAIT)));
        }
        read.arg("STREAMS");
        for worker in cursors.keys() {
            read.arg(run.log(*worker));
        }
        for cursor in cursors.values() {
            read.arg(cursor.to_string());
        }
        pipeline.add_command(read);
    }
    // Last, so that no entry comes from somebody who has read a stream that is not among them. As SMEMBERS, the
    // reply of which would not go out with the payload before it, but in another write.
    pipeline.cmd("SRANDMEMBER").arg(run.streams()).arg(MOST_STREAMS);
}

fn read(
    pool: &Pool,
    run: &RunKeys,
    wanted: &Exchange<'_>,
    replies: Vec<RedisResult<Value>>,
) -> Result<Exchanged, StoreError> {
    let mut replies = replies.into_iter();
    let mut next = |command: &'static str| match replies.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => {
            Err(StoreError::Refused { address: pool.address.clone(), command, reason: error.to_string() })
        }
        None => Err(parse::unexpected(command, "a reply to each command")),
    };
    let mut exchanged = Exchanged { lease_held: true, ..Exchanged::default() };
    if let (Some(entry), Some(lease)) = (wanted.push, wanted.lease) {
        let reply = next("XADD");
        exchanged.push = Some(outcome(pool, &run.log(lease.worker), entry.id, reply)?);
    }
    if renewed(wanted).is_some() {
        exchanged.lease_held = parse::integer("lease", &next("renewing the lease")?)? == 1;
    }
    for _ in wanted.events {
        next("XADD")?;
    }
    if !wanted.events.is_empty() {
        next("PEXPIRE")?;
    }
    if wanted.reader.is_some() {
        next("HSET")?;
        next("PEXPIRE")?;
    }
    if let Some(cursors) = wanted.cursors {
        exchanged.control = parse::control(&run.control(), next("HMGET")?)?;
        exchanged.snapshot_version = match next("HGET")? {
            Value::Nil => 0,
            version => parse::number(&run.snapshot(), &version)?,
        };
        if !cursors.is_empty() {
            exchanged.entries = entries(run, next("XREAD")?)?;
        }
        for worker in parse::array(&run.streams(), next("SRANDMEMBER")?)? {
            exchanged.streams.push(parse::number(&run.streams(), &worker)?);
        }
    }
    Ok(exchanged)
}

/// A refusal may mean that an earlier try arrived, or that a successor fenced the stream.
fn outcome(
    pool: &Pool,
    key: &str,
    id: EntryId,
    reply: Result<Value, StoreError>,
) -> Result<PushOutcome, StoreError> {
    match reply {
        Ok(Value::Nil) => Ok(PushOutcome::Gone),
        Ok(_) => Ok(PushOutcome::Accepted),
        Err(StoreError::Refused { reason, .. }) if reason.contains("equal or smaller") => {
            let command = scripts::LAST_ID.key(key).command();
            let last =
                last_id(key, pool.run("reading a stream's end", |connection| command.query(connection))?)?;
            Ok(if last == id { PushOutcome::Accepted } else { PushOutcome::Fenced })
        }
        Err(error) => Err(error),
    }
}

pub(super) fn entries(run: &RunKeys, reply: Value) -> Result<Vec<(u32, Vec<Entry>)>, StoreError> {
    let logs = format!("{}log:", run.prefix());
    parse::streams(&logs, reply)?
        .into_iter()
        .map(|(name, raw)| {
            let worker = name.strip_prefix(&logs).and_then(|worker| worker.parse().ok());
            let worker = worker.ok_or_else(|| parse::unexpected(&name, "a worker's log"))?;
            let entries = raw.into_iter().map(|entry| parse::entry(&name, entry));
            Ok((worker, entries.collect::<Result<_, _>>()?))
        })
        .collect()
}
