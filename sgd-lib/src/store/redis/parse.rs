//! Redis' replies as our types; whatever else stands there is an error that names the key.

use std::collections::BTreeMap;
use std::str::FromStr;

use redis::Value;

use crate::state;
use crate::store::entry::EntryMeta;
use crate::store::{
    Claim, ClaimRequest, Control, Cursors, Entry, EntryId, EntryKind, Lease, Replaced, RunKeys, StoreError,
    Vector,
};

/// An entry of a stream: its name and its fields.
pub(super) type RawEntry = (String, Vec<(String, Vec<u8>)>);

pub(super) fn unexpected(key: &str, wanted: &'static str) -> StoreError {
    StoreError::Corrupt { key: key.to_owned(), found: "something else".to_owned(), wanted }
}

fn corrupt(key: &str, found: impl Into<String>, wanted: &'static str) -> StoreError {
    StoreError::Corrupt { key: key.to_owned(), found: found.into(), wanted }
}

pub(super) fn array(key: &str, value: Value) -> Result<Vec<Value>, StoreError> {
    match value {
        Value::Array(values) | Value::Set(values) => Ok(values),
        Value::Nil => Ok(Vec::new()),
        other => Err(corrupt(key, format!("{other:?}"), "a list")),
    }
}

pub(super) fn bytes(key: &str, value: Value) -> Result<Vec<u8>, StoreError> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::Nil => Err(corrupt(key, "nothing", "bytes")),
        other => Err(corrupt(key, format!("{other:?}"), "bytes")),
    }
}

pub(super) fn optional_bytes(key: &str, value: Value) -> Result<Option<Vec<u8>>, StoreError> {
    if value == Value::Nil { Ok(None) } else { bytes(key, value).map(Some) }
}

pub(super) fn text(key: &str, value: Value) -> Result<String, StoreError> {
    String::from_utf8(bytes(key, value)?).map_err(|_| corrupt(key, "bytes that are no text", "text"))
}

/// The last entry's name in the reply of a script that returns it as text.
pub(super) fn last_id(key: &str, value: Value) -> Result<EntryId, StoreError> {
    entry_id(key, &text(key, value)?)
}

/// What became of a value that was to be replaced.
pub(super) fn replaced(key: &str, value: &Value) -> Result<Replaced, StoreError> {
    match integer(key, value)? {
        0 => Ok(Replaced::Written),
        1 => Ok(Replaced::Stale),
        2 => Ok(Replaced::Forgot),
        other => Err(corrupt(key, other.to_string(), "0, 1 or 2")),
    }
}

pub(super) fn integer(key: &str, value: &Value) -> Result<u64, StoreError> {
    match value {
        Value::Int(number) => {
            u64::try_from(*number).map_err(|_| corrupt(key, number.to_string(), "a number from 0"))
        }
        other => Err(corrupt(key, format!("{other:?}"), "a number")),
    }
}

/// A number that stands as text.
pub(super) fn number<T: FromStr>(key: &str, value: &Value) -> Result<T, StoreError> {
    let text = match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    text.parse().map_err(|_| corrupt(key, format!("{text:?}"), "a number"))
}

pub(super) fn entry_id(key: &str, text: &str) -> Result<EntryId, StoreError> {
    text.parse().map_err(|error: String| corrupt(key, error, "an entry id"))
}

/// The reply of `HMGET control stop workers`.
pub(super) fn control(key: &str, value: Value) -> Result<Control, StoreError> {
    let mut fields = array(key, value)?;
    let workers = match fields.pop().unwrap_or_default() {
        Value::Nil => None,
        workers => Some(number(key, &workers)?),
    };
    let stop = match fields.pop().unwrap_or_default() {
        Value::Nil => None,
        stop => Some(text(key, stop)?),
    };
    Ok(Control { stop, workers })
}

/// The reply of `HMGET snapshot version vector`.
pub(super) fn vector(key: &str, mut fields: Vec<Value>) -> Result<Option<(u64, Vector)>, StoreError> {
    let vector = fields.pop().unwrap_or_default();
    let version = fields.pop().unwrap_or_default();
    if version == Value::Nil {
        return Ok(None);
    }
    let vector = state::decode(key, &bytes(key, vector)?)
        .map_err(|error| corrupt(key, error.to_string(), "a vector of entry ids"))?;
    Ok(Some((number(key, &version)?, vector)))
}

/// The reply of `HGETALL readers`.
pub(super) fn readers(key: &str, value: Value) -> Result<BTreeMap<u32, Cursors>, StoreError> {
    let fields = match value {
        Value::Map(fields) => fields,
        other => {
            let mut flat = array(key, other)?.into_iter();
            std::iter::from_fn(|| Some((flat.next()?, flat.next()?))).collect()
        }
    };
    let read = |(reader, cursors): (Value, Value)| {
        let cursors = state::decode(key, &bytes(key, cursors)?)
            .map_err(|error| corrupt(key, error.to_string(), "a reader's cursors"))?;
        Ok((number(key, &reader)?, cursors))
    };
    fields.into_iter().map(read).collect()
}

/// The reply of the claiming script.
pub(super) fn claim(run: &RunKeys, request: &ClaimRequest, value: Value) -> Result<Claim, StoreError> {
    let key = run.prefix();
    let fields = array(&key, value)?.into_iter().map(|field| text(&key, field));
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| corrupt(&key, format!("{text:?}"), "a number in a claim's reply"))
    };
    match fields.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["over", reason] => Ok(Claim::Over { reason: (*reason).to_owned() }),
        ["duplicate", worker] => Ok(Claim::Duplicate { worker: narrow(&key, number(worker)?)? }),
        ["taken"] => Ok(Claim::Taken),
        ["granted", worker, token, seconds, micros, resumed] => Ok(Claim::Granted {
            lease: Lease {
                worker: narrow(&key, number(worker)?)?,
                holder: request.holder.clone(),
                token: number(token)?,
                ttl: request.ttl,
            },
            resumed: *resumed == "1",
            now_ms: number(seconds)?.saturating_mul(1000).saturating_add(number(micros)? / 1000),
        }),
        _ => Err(corrupt(&key, format!("{fields:?}"), "a claim's reply")),
    }
}

fn narrow(key: &str, number: u64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| corrupt(key, number.to_string(), "a worker's number"))
}

/// The reply of `XREAD`: streams with their entries.
pub(super) fn streams(key: &str, value: Value) -> Result<Vec<(String, Vec<RawEntry>)>, StoreError> {
    array(key, value)?
        .into_iter()
        .map(|stream| {
            let mut pair = array(key, stream)?;
            let entries = array(key, pair.pop().unwrap_or_default())?;
            let name = text(key, pair.pop().unwrap_or_default())?;
            let entries = entries.into_iter().map(|entry| raw_entry(&name, entry));
            Ok((name.clone(), entries.collect::<Result<_, _>>()?))
        })
        .collect()
}

fn raw_entry(key: &str, value: Value) -> Result<RawEntry, StoreError> {
    let mut pair = array(key, value)?;
    let mut fields = array(key, pair.pop().unwrap_or_default())?.into_iter();
    let id = text(key, pair.pop().unwrap_or_default())?;
    let mut named = Vec::with_capacity(4);
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        named.push((text(key, name)?, bytes(key, value)?));
    }
    Ok((id, named))
}

/// An entry of a parameter log.
pub(super) fn entry(key: &str, (id, fields): RawEntry) -> Result<Entry, StoreError> {
    let mut entry = Entry::fence(entry_id(key, &id)?, EntryId::ZERO);
    for (name, value) in fields {
        let utf8 = || String::from_utf8_lossy(&value).into_owned();
        match name.as_str() {
            "prev" => entry.prev = entry_id(key, &utf8())?,
            "kind" => {
                entry.kind =
                    utf8().parse().map_err(|error: String| corrupt(key, error, "a kind of entry"))?;
            }
            "meta" => {
                let meta: EntryMeta = state::decode(key, &value)
                    .map_err(|error| corrupt(key, error.to_string(), "an entry's description"))?;
                entry.progress = Some(meta.progress);
                entry.seen = meta.seen;
                entry.passed = meta.passed;
            }
            "delta" => entry.payload = value,
            other => return Err(corrupt(key, format!("a field {other:?}"), "prev, kind, meta or delta")),
        }
    }
    if entry.kind != EntryKind::Fence && entry.progress.is_none() {
        return Err(corrupt(key, format!("entry {id} without a meta field"), "one"));
    }
    Ok(entry)
}
