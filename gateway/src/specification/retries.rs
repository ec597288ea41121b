//! The annotations `com.openfaas.retry.*`: how often, after which answers and how soon an asynchronous call is tried
//! again.
//!
//! <https://docs.openfaas.com/openfaas-pro/retries/>

use std::collections::BTreeMap;
use std::time::Duration;

use super::{SpecificationError, parse_duration};

const ATTEMPTS: &str = "com.openfaas.retry.attempts";
const CODES: &str = "com.openfaas.retry.codes";
const MIN_WAIT: &str = "com.openfaas.retry.min_wait";
const MAX_WAIT: &str = "com.openfaas.retry.max_wait";

/// Attempts that no annotation can exceed.
const MAX_ATTEMPTS: u32 = 10_000;

/// What a function asks for; `None` leaves it to the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retries {
    /// All attempts, the first one included.
    pub(crate) attempts: Option<u32>,
    /// Statuses after which another attempt is worth it.
    pub(crate) codes: Option<Vec<u16>>,
    /// Before the second attempt.
    pub(crate) min_wait: Option<Duration>,
    /// The longest wait between two attempts.
    pub(crate) max_wait: Option<Duration>,
}

impl Retries {
    /// Reads the annotations.
    pub(super) fn from_annotations(
        annotations: &BTreeMap<String, String>,
    ) -> Result<Self, SpecificationError> {
        let wait = "a duration such as 10s";
        let retries = Self {
            attempts: read(
                annotations,
                ATTEMPTS,
                &format!("a whole number from 1 to {MAX_ATTEMPTS}"),
                attempts,
            )?,
            codes: read(annotations, CODES, "statuses from 100 to 599 such as 429,503", codes)?,
            min_wait: read(annotations, MIN_WAIT, wait, parse_duration)?,
            max_wait: read(annotations, MAX_WAIT, wait, parse_duration)?,
        };
        if let (Some(least), Some(most)) = (retries.min_wait, retries.max_wait)
            && least > most
        {
            let found = annotations.get(MAX_WAIT).map(String::as_str).unwrap_or_default();
            let wanted = format!("no less than {MIN_WAIT}, which is {least:?}");
            return Err(SpecificationError::value(format!("annotation {MAX_WAIT}"), found, wanted));
        }
        Ok(retries)
    }
}

fn read<T>(
    annotations: &BTreeMap<String, String>,
    name: &str,
    wanted: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, SpecificationError> {
    let Some(text) = annotations.get(name) else { return Ok(None) };
    match parse(text.trim()) {
        Some(value) => Ok(Some(value)),
        None => Err(SpecificationError::value(format!("annotation {name}"), text, wanted)),
    }
}

fn attempts(text: &str) -> Option<u32> {
    text.parse().ok().filter(|attempts| (1..=MAX_ATTEMPTS).contains(attempts))
}

fn codes(text: &str) -> Option<Vec<u16>> {
    text.split(',').map(|code| code.trim().parse().ok().filter(|code| (100..=599).contains(code))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<Retries, SpecificationError> {
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Retries::from_annotations(&entries.collect())
    }

    #[test]
    fn annotations_are_read() {
        assert_eq!(read(&[("com.example", "x")]), Ok(Retries::default()));
        let retries =
            read(&[(ATTEMPTS, "3"), (CODES, "429, 503"), (MIN_WAIT, "1s"), (MAX_WAIT, "1m30s")]).unwrap();
        assert_eq!(
            retries,
            Retries {
                attempts: Some(3),
                codes: Some(vec![429, 503]),
                min_wait: Some(Duration::from_secs(1)),
                max_wait: Some(Duration::from_secs(90)),
            }
        );
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        for (name, value) in [
            (ATTEMPTS, "0"),
            (ATTEMPTS, "many"),
            (ATTEMPTS, "-1"),
            (CODES, ""),
            (CODES, "429,"),
            (CODES, "42"),
            (CODES, "600"),
            (MIN_WAIT, "soon"),
            (MAX_WAIT, ""),
        ] {
            let error = read(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("annotation {name} is {value:?}: wanted ")), "{error}");
        }
        let error = read(&[(MIN_WAIT, "2s"), (MAX_WAIT, "1s")]).unwrap_err().to_string();
        assert!(error.ends_with("wanted no less than com.openfaas.retry.min_wait, which is 2s"), "{error}");
    }
}
