//! The labels `com.openfaas.scale.*`: how many replicas a function may have, and when it may have none.
//!
//! <https://docs.openfaas.com/architecture/autoscaling/>

use std::collections::BTreeMap;
use std::time::Duration;

use openfaas::names::{REPLICA_LIMIT, SCALE_FACTOR, SCALE_MAX, SCALE_MIN, ScaleRange};

use super::{SpecificationError, parse_duration};

const PREFIX: &str = "com.openfaas.scale.";
const ZERO: &str = "com.openfaas.scale.zero";
const ZERO_DURATION: &str = "com.openfaas.scale.zero-duration";
/// What scales by load in OpenFaaS's paid editions; the Community Edition refuses it as well.
const BY_LOAD: [&str; 3] =
    ["com.openfaas.scale.type", "com.openfaas.scale.target", "com.openfaas.scale.target-proportion"];

/// Percent of the most replicas that one alert adds, where no label says otherwise.
const DEFAULT_FACTOR: u64 = 10;
/// How long a function is idle before it is scaled to zero, where no label says otherwise.
const DEFAULT_ZERO_DURATION: Duration = Duration::from_secs(15 * 60);

/// What an alert says about a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alert {
    /// It has too few replicas.
    Firing,
    /// That is over.
    Resolved,
}

/// How a function is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scaling {
    /// How many replicas it may have.
    pub(crate) range: ScaleRange,
    /// Percent of the most replicas that one alert adds.
    pub(crate) factor: u64,
    /// How long it must be idle to be scaled to zero; `None`: never.
    pub(crate) zero_after: Option<Duration>,
}

impl Default for Scaling {
    fn default() -> Self {
        let range = ScaleRange { min: 1, max: REPLICA_LIMIT };
        Self { range, factor: DEFAULT_FACTOR, zero_after: None }
    }
}

impl Scaling {
    /// Reads the labels.
    pub(super) fn from_labels(labels: &BTreeMap<String, String>) -> Result<Self, SpecificationError> {
        for label in labels.keys().filter(|label| label.starts_with(PREFIX)) {
            check_known(label)?;
        }
        let range = ScaleRange::from_labels(labels)?;
        // Its range was checked with the others.
        let factor = labels.get(SCALE_FACTOR).and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_FACTOR);
        let zero = match labels.get(ZERO).map(String::as_str) {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(SpecificationError::value(format!("label {ZERO}"), other, "true or false"));
            }
        };
        let duration = match labels.get(ZERO_DURATION) {
            None => DEFAULT_ZERO_DURATION,
            Some(text) => parse_duration(text).filter(|duration| !duration.is_zero()).ok_or_else(|| {
                SpecificationError::value(format!("label {ZERO_DURATION}"), text, "a duration such as 15m")
            })?,
        };
        Ok(Self { range, factor, zero_after: zero.then_some(duration) })
    }

    /// How many replicas a function that has `current` gets by an alert: a share of the most that it may have on top,
    /// or back to the least.
    pub(crate) fn after(&self, alert: Alert, current: u64) -> u64 {
        let ScaleRange { min, max } = self.range;
        match alert {
            Alert::Firing => {
                let step = (max * self.factor).div_ceil(100).max(1);
                (current + step).clamp(min, max.max(current))
            }
            // One that idles at zero stays there until it is called.
            Alert::Resolved if current == 0 => 0,
            Alert::Resolved => min.max(1),
        }
    }
}

fn check_known(label: &str) -> Result<(), SpecificationError> {
    if [SCALE_MIN, SCALE_MAX, SCALE_FACTOR, ZERO, ZERO_DURATION].contains(&label) {
        return Ok(());
    }
    let reason = if BY_LOAD.contains(&label) {
        format!(
            "label {label} asks for scaling by load, which is not done here: scale with an alert, or remove it"
        )
    } else {
        let known = "min, max, factor, zero and zero-duration";
        format!("label {label} is unknown: {PREFIX}* may be {known}")
    };
    Err(SpecificationError::Presence(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<Scaling, SpecificationError> {
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Scaling::from_labels(&entries.collect())
    }

    #[test]
    fn a_function_goes_to_zero_only_where_it_says_so() {
        assert_eq!(read(&[]).unwrap().zero_after, None);
        assert_eq!(read(&[(ZERO, "false"), (ZERO_DURATION, "1m")]).unwrap().zero_after, None);
        assert_eq!(read(&[(ZERO, "true")]).unwrap().zero_after, Some(DEFAULT_ZERO_DURATION));
        let after = read(&[(ZERO, "true"), (ZERO_DURATION, "10m30s")]).unwrap().zero_after;
        assert_eq!(after, Some(Duration::from_secs(630)));
    }

    #[test]
    fn wrong_labels_are_named() {
        for (label, value, wanted) in [
            (ZERO, "yes", "label com.openfaas.scale.zero is \"yes\": wanted true or false"),
            (ZERO_DURATION, "0s", "label com.openfaas.scale.zero-duration is \"0s\": wanted a duration"),
            ("com.openfaas.scale.type", "rps", "label com.openfaas.scale.type asks for scaling by load"),
            ("com.openfaas.scale.mim", "1", "label com.openfaas.scale.mim is unknown"),
            (
                SCALE_FACTOR,
                "0",
                "label com.openfaas.scale.factor is \"0\": wanted a whole number from 1 to 100",
            ),
        ] {
            let error = read(&[(label, value)]).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    #[test]
    fn alerts_step_within_the_range() {
        let scaling = read(&[(SCALE_MIN, "2"), (SCALE_MAX, "15"), (SCALE_FACTOR, "30")]).unwrap();
        let mut replicas = 2;
        let mut seen = Vec::new();
        for _ in 0..4 {
            replicas = scaling.after(Alert::Firing, replicas);
            seen.push(replicas);
        }
        assert_eq!(seen, [7, 12, 15, 15]);
        assert_eq!(scaling.after(Alert::Firing, 0), 5);
        assert_eq!([0, 1, 2, 15].map(|current| scaling.after(Alert::Resolved, current)), [0, 2, 2, 2]);
        assert_eq!(read(&[]).unwrap().after(Alert::Firing, 1), 3);
    }
}
