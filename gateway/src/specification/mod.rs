//! What a deployment asks for, checked before anything of it takes effect.
//!
//! Labels and annotations that this gateway acts upon are read into types here; what it only keeps (constraints,
//! limits, a process to start) must still be something that a cluster would take, so that a stack which deploys here
//! deploys there.

mod metadata;
mod quantity;
mod retries;
mod scaling;
mod schedule;

use std::time::Duration;

use openfaas::names::{self, NameError};
use openfaas::types::FunctionDeployment;

pub(crate) use self::retries::Retries;
pub(crate) use self::scaling::{Alert, Scaling};
pub(crate) use self::schedule::{Schedule, TOPIC};

/// Why a deployment was refused; one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SpecificationError {
    #[error(transparent)]
    Name(#[from] NameError),
    /// A value that cannot be, in a field, label or annotation.
    #[error("{place} is {found:?}: wanted {wanted}")]
    Value { place: String, found: String, wanted: String },
    /// Something that must not be there, or must.
    #[error("{0}")]
    Presence(String),
}

impl SpecificationError {
    fn value(place: impl Into<String>, found: &str, wanted: impl Into<String>) -> Self {
        Self::Value { place: place.into(), found: shown(found), wanted: wanted.into() }
    }
}

/// What came in, cut so that an error stays one readable line.
fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// What the gateway acts upon.
#[derive(Clone, Debug, Default)]
pub(crate) struct Specification {
    /// Labels `com.openfaas.scale.*`.
    pub(crate) scaling: Scaling,
    /// Annotations `com.openfaas.retry.*`.
    pub(crate) retries: Retries,
    /// Annotations `topic` and `schedule`.
    pub(crate) schedule: Option<Schedule>,
}

impl Specification {
    /// Checks everything of `deployment` that needs no look at the machine.
    pub(crate) fn read(deployment: &FunctionDeployment) -> Result<Self, SpecificationError> {
        names::check_label("service", &deployment.service)?;
        names::check_variables(&deployment.env_vars)?;
        metadata::check_labels(&deployment.labels)?;
        metadata::check_annotations(&deployment.annotations)?;
        quantity::check_resources(deployment.requests.as_ref(), deployment.limits.as_ref())?;
        Ok(Self {
            scaling: Scaling::from_labels(&deployment.labels)?,
            retries: Retries::from_annotations(&deployment.annotations)?,
            schedule: Schedule::from_annotations(&deployment.annotations)?,
        })
    }
}

/// Go has no longer ones: 2^63 - 1 ns, about 292 years.
const LONGEST: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

/// A time such as `15m`, as Go writes it; a number alone is in seconds. `None` for what a function's watchdog refuses,
/// such as spaces, days or ages.
pub fn parse_duration(text: &str) -> Option<Duration> {
    if !text.chars().all(|c| c.is_ascii_digit() || ".nuµmsh".contains(c)) {
        return None;
    }
    let duration = text.parse().map(Duration::from_secs).or_else(|_| humantime::parse_duration(text)).ok()?;
    (duration <= LONGEST).then_some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos_or_seconds() {
        let seconds = |text: &str| parse_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(
            ["5", "1m30s", "250ms", "2h", "1.5h", "9223372036"].map(seconds),
            [5.0, 90.0, 0.25, 7200.0, 5400.0, 9_223_372_036.0].map(Some)
        );
        for text in
            ["", "soon", "-1s", "1x", "+1", "1 s", " 1", "1min", "1d", "1M", "9223372037", "300000000000"]
        {
            assert_eq!(seconds(text), None, "{text:?}");
        }
    }
}
