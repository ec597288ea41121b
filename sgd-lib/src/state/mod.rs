//! Typed values in a store, with a version each: what `#[stateful]` expands to.
//!
//! A value is a serde type in bincode under one key. A get returns value and version;
//! a put is a compare-and-set on that version, so two writers can't lose an update.

pub(crate) mod call;

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::store::{Store, StoreError, Write};

/// No typed value is larger than this: an optimizer's accumulators, a value a parameter, are among the
/// largest. Parameters and data travel as blobs.
pub const MAX_VALUE_BYTES: usize = 16 << 20;

/// Why a typed value could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store itself failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What stands under the key is no value of the wanted type.
    #[error("{key}: {bytes} bytes that are no {wanted}: {reason}")]
    Decode {
        /// The key.
        key: String,
        /// How many bytes stand there.
        bytes: usize,
        /// The Rust type that was wanted.
        wanted: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// The value can't be encoded.
    #[error("{key}: a {found} does not encode: {reason}")]
    Encode {
        /// The key.
        key: String,
        /// The Rust type that was given.
        found: &'static str,
        /// What the encoder said.
        reason: String,
    },
    /// Nothing stands under the key and no default was asked for.
    #[error("{key}: nothing is stored there")]
    Missing {
        /// The key.
        key: String,
    },
    /// Something stands under the key of a value that was to be created.
    #[error("{key}: exists already")]
    Exists {
        /// The key.
        key: String,
    },
    /// Somebody else wrote since the value was read.
    #[error("{key}: written by somebody else since {}", seen(*expected))]
    Conflict {
        /// The key.
        key: String,
        /// The version that the writer had read; 0 for a key that did not exist.
        expected: u64,
    },
}

fn seen(version: u64) -> String {
    if version == 0 { "it was found missing".to_owned() } else { format!("version {version} was read") }
}

/// A value and the version it was read at; version 0 means that the key did not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Grows by one with each put.
    pub version: u64,
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_VALUE_BYTES>()
}

/// Encodes a small control record.
///
/// # Errors
/// The value does not encode, or to more than [`MAX_VALUE_BYTES`].
pub fn encode<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>, StateError> {
    let failed = |reason: String| StateError::Encode {
        key: key.to_owned(),
        found: std::any::type_name::<T>(),
        reason,
    };
    let bytes = bincode::serde::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| failed(error.to_string()))?;
    if bytes.len() > MAX_VALUE_BYTES {
        return Err(failed(format!("{} bytes; at most {MAX_VALUE_BYTES} are allowed", bytes.len())));
    }
    Ok(bytes)
}

/// Decodes a small control record; bytes left over are an error.
///
/// # Errors
/// The bytes are no `T`, or there are more of them than one `T` needs.
pub fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, StateError> {
    let failed = |reason: String| StateError::Decode {
        key: key.to_owned(),
        bytes: bytes.len(),
        wanted: std::any::type_name::<T>(),
        reason,
    };
    let (value, used) =
        bincode::serde::decode_from_slice(bytes, config()).map_err(|error| failed(error.to_string()))?;
    if used != bytes.len() {
        return Err(failed(format!("{} bytes are left over", bytes.len() - used)));
    }
    Ok(value)
}

/// Reads the value under `key`, if there is one.
///
/// # Errors
/// The store fails, or what stands there is no `T`.
pub fn get<T: DeserializeOwned>(store: &dyn Store, key: &str) -> Result<Option<Versioned<T>>, StateError> {
    let Some(found) = store.read(key)? else { return Ok(None) };
    Ok(Some(Versioned { value: decode(key, &found.value)?, version: found.version }))
}

/// Writes `value` under `key` if the key still is at version `expected` (0: does not exist yet);
/// the key expires after `ttl`, where one is given. Returns the new version.
///
/// # Errors
/// The store fails, the value does not encode, or [`StateError::Conflict`]: somebody wrote in between.
pub fn put<T: Serialize>(
    store: &dyn Store,
    key: &str,
    value: &T,
    expected: u64,
    ttl: Option<Duration>,
) -> Result<u64, StateError> {
    let bytes = encode(key, value)?;
    let write = Write { key: key.to_owned(), value: bytes, expected };
    match store.write(&[write], ttl)? {
        None => Ok(expected + 1),
        Some(_) => Err(StateError::Conflict { key: key.to_owned(), expected }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_bytes() {
        let bytes = encode("k", &(1_u8, "ab", 300_u64, Some(0.5_f32), vec![true])).unwrap();
        assert_eq!(bytes, [1, 2, b'a', b'b', 251, 44, 1, 1, 0, 0, 0, 63, 1, 1]);
    }

    #[test]
    fn what_is_no_such_value_is_named() {
        let error = decode::<u8>("dp:r:x", &[1, 2]).unwrap_err();
        assert_eq!(error.to_string(), "dp:r:x: 2 bytes that are no u8: 1 bytes are left over");
        assert!(matches!(decode::<String>("k", &[3, b'a']), Err(StateError::Decode { bytes: 2, .. })));
        // A length of 2⁶⁴ - 1 allocates nothing.
        assert!(decode::<Vec<u64>>("k", &[253, 255, 255, 255, 255, 255, 255, 255, 255]).is_err());
    }

    #[test]
    fn a_value_over_the_limit_is_refused() {
        let error = encode("k", &vec![0_u8; MAX_VALUE_BYTES]).unwrap_err();
        assert!(matches!(error, StateError::Encode { .. }), "{error}");
    }
}
