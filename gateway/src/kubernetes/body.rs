//! Bodies of requests.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use serde_json::Value;

use super::failure::Failure;

/// The types of a patch that says what fields are to be. Of objects without lists both mean the same.
const MERGE_PATCHES: [&str; 2] = ["application/merge-patch+json", "application/strategic-merge-patch+json"];

/// Reads a JSON object; nothing at all is one without fields.
pub(crate) fn read_json(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Failure> {
    let found = media_type(headers);
    if !matches!(found, "" | "application/json" | "*/*") && !bytes.is_empty() {
        return Err(Failure::media_type(found, "application/json"));
    }
    read(bytes)
}

/// Reads a merge patch.
pub(crate) fn read_merge_patch(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Failure> {
    let found = media_type(headers);
    if !MERGE_PATCHES.contains(&found) {
        return Err(Failure::media_type(found, MERGE_PATCHES[0]));
    }
    read(bytes)
}

/// Whether it is an object to be created or changed as needed, as `kubectl apply --server-side` sends it.
pub(super) fn is_apply(headers: &HeaderMap) -> bool {
    media_type(headers).starts_with("application/apply-patch+")
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn read(bytes: &[u8]) -> Result<Value, Failure> {
    if bytes.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let wrong = |why: String| Failure::bad_request(format!("cannot read the body as JSON: {why}"));
    let value: Value = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
    if value.is_object() { Ok(value) } else { Err(wrong("wanted an object".to_owned())) }
}
