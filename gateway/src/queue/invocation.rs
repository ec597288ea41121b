//! An asynchronous invocation, as the queue keeps it: in the terms of OpenFaaS's queue message.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::specification::TOPIC;
use crate::upstream::{CALL_ID, mark_start};

/// An asynchronous invocation.
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

    #[test]
    fn no_byte_of_headers_or_body_is_lost() {
        let mut headers = HeaderMap::new();
        headers.append("x-a", HeaderValue::from_bytes(b"caf\xe9").unwrap());
        headers.append("x-a", HeaderValue::from_static("2"));
        let invocation = Invocation {
            headers,
            body: Bytes::from_static(&[0, 10, 255]),
            ..Invocation::scheduled("fn", "id")
        };
        let json = serde_json::to_vec(&invocation).unwrap();
        assert!(!json.contains(&b'\n'), "one line each");
        assert_eq!(serde_json::from_slice::<Invocation>(&json).unwrap(), invocation);
    }
}
