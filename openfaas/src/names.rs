//! Names and labels: what OpenFaaS allows in them, checked where they come in.
//!
//! `faas-cli` checks none of this itself, so whoever takes a deployment has to.

use std::collections::BTreeMap;

use crate::types::DEFAULT_NAMESPACE;

/// The longest DNS-1123 label.
const MAX_LABEL: usize = 63;
/// The longest DNS-1123 subdomain.
const MAX_SUBDOMAIN: usize = 253;

/// The label that holds the fewest replicas, and how many a function starts with.
pub const SCALE_MIN: &str = "com.openfaas.scale.min";
/// The label that holds the most replicas.
pub const SCALE_MAX: &str = "com.openfaas.scale.max";
/// The label that holds the percentage of replicas that one scaling step adds.
pub const SCALE_FACTOR: &str = "com.openfaas.scale.factor";

/// Replicas allowed where no label says otherwise: OpenFaaS's own default.
const DEFAULT_SCALE_MAX: u64 = 20;
/// Replicas that no label can exceed: a slip of the finger must not start thousands of processes.
pub const REPLICA_LIMIT: u64 = 100;

/// Why a name or label was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a DNS-1123 label.
    #[error(
        "{field} {found:?} is not a DNS label: 1 to 63 lower-case letters, digits and \"-\", with a letter or digit \
         at both ends"
    )]
    NotALabel {
        /// What the name is for.
        field: &'static str,
        /// The name as it came, cut to a readable length.
        found: String,
    },
    /// Not a DNS-1123 subdomain.
    #[error("{field} {found:?} is not a DNS name: 1 to 253 characters, DNS labels with \".\" between them")]
    NotASubdomain {
        /// What the name is for.
        field: &'static str,
        /// The name as it came, cut to a readable length.
        found: String,
    },
    /// A function's name in a path that no function can have.
    #[error("the path names the function {0:?}: wanted letters, digits, \"-\", \"_\" and \".\" only")]
    NotARoute(String),
    /// The name of an environment variable that no process can have.
    #[error("envVars has a variable named {0:?}: a name must not be empty or hold \"=\" or NUL")]
    NotAVariable(String),
    /// The value of an environment variable that no process can have.
    #[error("envVars: the value of {0:?} holds a NUL byte")]
    NotAValue(String),
    /// A label whose value is no number or is out of its range.
    #[error("label {label} is {found:?}: wanted a whole number from {least} to {most}")]
    OutOfRange {
        /// The label.
        label: &'static str,
        /// Its value as it came, cut to a readable length.
        found: String,
        /// The smallest value allowed.
        least: u64,
        /// The largest value allowed.
        most: u64,
    },
}

/// What came in, cut so that an error stays one readable line.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Checks that `name`, which stands in `field`, is a DNS-1123 label.
pub fn check_label(field: &'static str, name: &str) -> Result<(), NameError> {
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    let bytes = name.as_bytes();
    let fits = !bytes.is_empty()
        && bytes.len() <= MAX_LABEL
        && bytes.iter().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits { Ok(()) } else { Err(NameError::NotALabel { field, found: shown(name) }) }
}

/// Checks that `name`, which stands in `field`, is a DNS-1123 subdomain: labels with dots between them.
pub fn check_subdomain(field: &'static str, name: &str) -> Result<(), NameError> {
    let fits = name.len() <= MAX_SUBDOMAIN && name.split('.').all(|label| check_label(field, label).is_ok());
    if fits { Ok(()) } else { Err(NameError::NotASubdomain { field, found: shown(name) }) }
}

/// Checks the names and values of environment variables.
pub fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), NameError> {
    for (name, value) in variables {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(NameError::NotAVariable(shown(name)));
        }
        if value.contains('\0') {
            return Err(NameError::NotAValue(shown(name)));
        }
    }
    Ok(())
}

/// A function as a path names it: `name` or `name.namespace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionRef {
    /// The function's name.
    pub name: String,
    /// Its namespace; [`DEFAULT_NAMESPACE`] if the path names none.
    pub namespace: String,
}

impl FunctionRef {
    /// Reads a path segment; what follows the last dot is the namespace.
    pub fn parse(segment: &str) -> Result<Self, NameError> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if segment.is_empty() || !segment.bytes().all(allowed) {
            return Err(NameError::NotARoute(shown(segment)));
        }
        let (name, namespace) = segment.rsplit_once('.').unwrap_or((segment, DEFAULT_NAMESPACE));
        Ok(Self { name: name.to_owned(), namespace: namespace.to_owned() })
    }
}

/// How many replicas a function may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScaleRange {
    /// The fewest, and how many it starts with.
    pub min: u64,
    /// The most.
    pub max: u64,
}

impl ScaleRange {
    /// Reads the labels `com.openfaas.scale.*`; what is absent has OpenFaaS's default.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Result<Self, NameError> {
        let min = number(labels, SCALE_MIN, 0, REPLICA_LIMIT)?.unwrap_or(1);
        let least = min.max(1);
        let max = number(labels, SCALE_MAX, least, REPLICA_LIMIT)?.unwrap_or(DEFAULT_SCALE_MAX.max(least));
        number(labels, SCALE_FACTOR, 1, 100)?;
        Ok(Self { min, max })
    }
}

fn number(
    labels: &BTreeMap<String, String>,
    label: &'static str,
    least: u64,
    most: u64,
) -> Result<Option<u64>, NameError> {
    let Some(text) = labels.get(label) else { return Ok(None) };
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        _ => Err(NameError::OutOfRange { label, found: shown(text), least, most }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn labels_are_dns_labels() {
        let longest = "a".repeat(63);
        for good in ["a", "emnist-train", "0a", longest.as_str()] {
            assert_eq!(check_label("service", good), Ok(()));
        }
        let too_long = "a".repeat(64);
        for bad in ["", "-a", "a-", "Bad_Name", "a.b", "a/b", "..", "ä", "a\n", too_long.as_str()] {
            let error = check_label("service", bad).unwrap_err().to_string();
            assert!(error.starts_with("service ") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn subdomains_are_labels_with_dots() {
        let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61));
        for good in ["a", "api-key", "tls.crt", "a.b.c", longest.as_str()] {
            assert_eq!(check_subdomain("secret", good), Ok(()));
        }
        let too_long = format!("{longest}a");
        for bad in ["", ".", "..", ".a", "a.", "a..b", "a/b", "../a", "A.b", too_long.as_str()] {
            let error = check_subdomain("secret", bad).unwrap_err().to_string();
            assert!(error.starts_with("secret ") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn the_last_dot_separates_the_namespace() {
        let parse = |s: &str| FunctionRef::parse(s).map(|f| (f.name, f.namespace));
        assert_eq!(parse("fn"), Ok(("fn".into(), DEFAULT_NAMESPACE.into())));
        assert_eq!(parse("fn.other"), Ok(("fn".into(), "other".into())));
        assert_eq!(parse("a.b.c"), Ok(("a.b".into(), "c".into())));
        assert!(parse("a%2fb").is_err() && parse("").is_err());
    }

    #[test]
    fn scale_labels_have_ranges() {
        let range = |entries: &[(&str, &str)]| ScaleRange::from_labels(&map(entries));
        assert_eq!(range(&[]), Ok(ScaleRange { min: 1, max: 20 }));
        assert_eq!(range(&[(SCALE_MIN, "30")]), Ok(ScaleRange { min: 30, max: 30 }));
        assert_eq!(range(&[(SCALE_MIN, "0"), (SCALE_MAX, "4")]), Ok(ScaleRange { min: 0, max: 4 }));
        for bad in [
            &[(SCALE_MIN, "101")][..],
            &[(SCALE_MIN, "-1")],
            &[(SCALE_MIN, "two")],
            &[(SCALE_MAX, "0")],
            &[(SCALE_MIN, "3"), (SCALE_MAX, "2")],
            &[(SCALE_FACTOR, "0")],
            &[(SCALE_FACTOR, "101")],
            &[(SCALE_MAX, "99999999999999999999999")],
        ] {
            assert!(range(bad).is_err(), "{bad:?}");
        }
        let error = range(&[(SCALE_MIN, "3"), (SCALE_MAX, "2")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "label com.openfaas.scale.max is \"2\": wanted a whole number from 3 to 100"
        );
    }

    #[test]
    fn variables_that_no_process_can_have_are_named() {
        assert_eq!(check_variables(&map(&[("a", "b=c"), ("B_1", "")])), Ok(()));
        for (name, value) in [("", "x"), ("a=b", "x"), ("a\0", "x"), ("a", "\0")] {
            assert!(check_variables(&map(&[(name, value)])).is_err());
        }
    }
}
