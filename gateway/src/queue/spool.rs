//! Queued invocations on disk: one file each, there from before the caller's 202 until the invocation is done.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::error::StorageError;
use crate::specification::TOPIC;
use crate::storage;
use crate::upstream::{CALL_ID, mark_start};

/// An asynchronous invocation, in the terms of OpenFaaS's queue message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Invocation {
    pub(crate) function: String,
    pub(crate) call_id: String,
    /// Path and query.
    pub(crate) path: String,
    #[serde(with = "header_pairs")]
    pub(crate) headers: HeaderMap,
    #[serde(with = "base64_bytes")]
    pub(crate) body: Bytes,
    pub(crate) callback_url: Option<String>,
    /// Whether the clock made this call, not somebody.
    #[serde(default)]
    pub(crate) scheduled: bool,
}

impl Invocation {
    /// A call of `function` by the clock, with nothing to say.
    pub(crate) fn scheduled(function: &str, call_id: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-topic"), HeaderValue::from_static(TOPIC));
        headers.insert(HeaderName::from_static("x-connector"), HeaderValue::from_static("cron-connector"));
        if let Ok(id) = HeaderValue::from_str(call_id) {
            headers.insert(CALL_ID, id);
        }
        mark_start(&mut headers);
        Self {
            function: function.to_owned(),
            call_id: call_id.to_owned(),
            path: "/".to_owned(),
            headers,
            body: Bytes::new(),
            callback_url: None,
            scheduled: true,
        }
    }
}

/// The folder of queued invocations.
#[derive(Debug)]
pub(crate) struct Spool {
    folder: PathBuf,
    /// Tells apart what is queued within one tick of the clock.
    count: AtomicU64,
}

impl Spool {
    pub(crate) fn open(state_dir: &Path) -> Result<Self, StorageError> {
        let folder = state_dir.join("queue");
        storage::create_folder(&folder)?;
        Ok(Self { folder, count: AtomicU64::new(0) })
    }

    /// What an earlier gateway left, oldest first.
    pub(crate) fn list(&self) -> Result<Vec<PathBuf>, StorageError> {
        let mut paths = storage::list(&self.folder)?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        Ok(paths)
    }

    /// Keeps an invocation; it is durable when this returns.
    pub(crate) fn push(&self, invocation: &Invocation) -> Result<PathBuf, StorageError> {
        let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!("{nanoseconds:020}-{count:08}.json"));
        storage::write_json(&path, invocation)?;
        Ok(path)
    }

    /// Sets a file aside that cannot be read, so that it is not tried again and not lost.
    pub(crate) fn set_aside(&self, path: &Path) -> Result<PathBuf, StorageError> {
        let damaged = path.with_extension("damaged");
        std::fs::rename(path, &damaged).map_err(StorageError::io("rename", path))?;
        Ok(damaged)
    }
}

/// Headers as a list of pairs; a value's bytes as the characters of the same numbers, so that none is lost.
mod header_pairs {
    use super::*;

    pub(super) fn serialize<S: Serializer>(headers: &HeaderMap, serializer: S) -> Result<S::Ok, S::Error> {
        let text =
            |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect::<String>();
        serializer.collect_seq(headers.iter().map(|(name, value)| (name.as_str(), text(value))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HeaderMap, D::Error> {
        let pairs = Vec::<(String, String)>::deserialize(deserializer)?;
        let mut headers = HeaderMap::with_capacity(pairs.len());
        for (name, text) in pairs {
            let bytes =
                text.chars().map(u8::try_from).collect::<Result<Vec<_>, _>>().map_err(de::Error::custom)?;
            let name: HeaderName = name.parse().map_err(de::Error::custom)?;
            headers.append(name, HeaderValue::from_bytes(&bytes).map_err(de::Error::custom)?);
        }
        Ok(headers)
    }
}

mod base64_bytes {
    use super::*;

    pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Bytes::from).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(function: &str) -> Invocation {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        headers.append("x-a", HeaderValue::from_static("2"));
        Invocation {
            function: function.into(),
            call_id: "id".into(),
            path: "/?x=1".into(),
            headers,
            body: Bytes::from_static(&[0, 255]),
            callback_url: None,
            scheduled: false,
        }
    }

    #[test]
    fn what_is_queued_comes_back_in_order_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        for name in ["a", "b", "c"] {
            spool.push(&invocation(name)).unwrap();
        }
        let paths = Spool::open(folder.path()).unwrap().list().unwrap();
        let back: Vec<Invocation> = paths.iter().map(|path| storage::read_json(path).unwrap()).collect();
        assert_eq!(back, ["a", "b", "c"].map(invocation));
    }

    #[test]
    fn a_damaged_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path()).unwrap();
        let path = spool.push(&invocation("a")).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(storage::read_json::<Invocation>(&path).is_err());
        spool.set_aside(&path).unwrap();
        assert!(spool.list().unwrap().is_empty());
    }
}
