//! The request body: a JSON object of settings that hold for one run.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value as Json;

use super::error::SettingsError;

/// No body is longer than this, in bytes.
pub(super) const MAX_BODY: usize = 1 << 16;

/// The entries of a body, in its order; of an empty one, none.
pub(super) fn entries(body: &[u8]) -> Result<Vec<(String, Json)>, SettingsError> {
    if body.len() > MAX_BODY {
        return Err(SettingsError::TooLong { found: body.len(), limit: MAX_BODY });
    }
    if body.trim_ascii().is_empty() {
        return Ok(Vec::new());
    }
    let Entries(entries) =
        serde_json::from_slice(body).map_err(|error| SettingsError::Body(error.to_string()))?;
    let mut names: Vec<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(SettingsError::Twice(shortened(pair[0]))),
        None => Ok(entries),
    }
}

/// A value's text. Lists are for the settings that are lists; nothing else that JSON has is a value.
pub(super) fn text(value: &Json, lists: bool) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Array(items) if lists => {
            let items: Option<Vec<_>> = items.iter().map(|item| text(item, false)).collect();
            Some(format!("[{}]", items?.join(",")))
        }
        _ => None,
    }
}

/// The beginning of a text, for an error.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// An object with its keys as they came: a map would silently keep the last of two equal ones.
struct Entries(Vec<(String, Json)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}
