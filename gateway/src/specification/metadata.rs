//! Keys and values of labels and annotations, as Kubernetes takes them.
//!
//! <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>

use std::collections::BTreeMap;

use openfaas::names::check_subdomain;

use super::SpecificationError;

/// The longest name in a key, and the longest value of a label.
const MAX_NAME: usize = 63;
/// The most bytes that all annotations together may have.
const MAX_ANNOTATIONS: usize = 256 << 10;

/// Checks the keys and values of labels.
pub(super) fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), SpecificationError> {
    for (key, value) in labels {
        check_key("a label", key)?;
        if !value.is_empty() && !is_name(value) {
            return Err(SpecificationError::value(
                format!("label {key}"),
                value,
                "at most 63 letters, digits, \"-\", \"_\" and \".\", with a letter or digit at both ends",
            ));
        }
    }
    Ok(())
}

/// Checks the keys of annotations and the size of it all; values are free.
pub(super) fn check_annotations(annotations: &BTreeMap<String, String>) -> Result<(), SpecificationError> {
    for key in annotations.keys() {
        check_key("an annotation", key)?;
    }
    let size: usize = annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MAX_ANNOTATIONS {
        let reason = format!("annotations have {size} bytes: wanted at most {MAX_ANNOTATIONS}");
        return Err(SpecificationError::Presence(reason));
    }
    Ok(())
}

/// `kind` with its article.
fn check_key(kind: &str, key: &str) -> Result<(), SpecificationError> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if prefix.is_none_or(|prefix| check_subdomain("prefix", prefix).is_ok()) && is_name(name) {
        return Ok(());
    }
    Err(SpecificationError::value(
        format!("the key of {kind}"),
        key,
        "[DOMAIN/]NAME with a name of 1 to 63 letters, digits, \"-\", \"_\" and \".\"",
    ))
}

/// Letters, digits and a few signs in between.
fn is_name(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let at_end = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= MAX_NAME
        && bytes.iter().copied().all(inner)
        && at_end(bytes.first())
        && at_end(bytes.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), value.to_owned())])
    }

    #[test]
    fn labels_are_kubernetes_own() {
        for (key, value) in [("a", ""), ("com.openfaas.scale.min", "1"), ("x.io/A_b", "v1.0-rc_1")] {
            assert_eq!(check_labels(&one(key, value)), Ok(()), "{key}={value}");
        }
        let long = "a".repeat(64);
        for (key, value) in [
            ("", "v"),
            ("-a", "v"),
            ("a b", "v"),
            ("a/b/c", "v"),
            ("A/b", "v"),
            ("a", "two words"),
            ("a", &long),
            (&long, ""),
        ] {
            let error = check_labels(&one(key, value)).unwrap_err().to_string();
            assert!(error.contains("label") && error.lines().count() == 1, "{error}");
        }
    }

    #[test]
    fn annotations_have_free_values_of_bounded_size() {
        assert_eq!(check_annotations(&one("schedule", "*/5 * * * *")), Ok(()));
        let error = check_annotations(&one("a b", "")).unwrap_err().to_string();
        assert!(error.starts_with("the key of an annotation is \"a b\": wanted "), "{error}");
        assert!(check_annotations(&one("a", &"x".repeat(MAX_ANNOTATIONS))).is_err());
    }
}
