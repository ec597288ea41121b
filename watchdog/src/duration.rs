//! Durations as OpenFaaS writes them: Go's syntax (`1m30s`, `300ms`, `1.5h`) or whole seconds (`30`).

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Neither whole seconds nor numbers with units.
    #[error("not a duration such as 30s, 1m30s, 300ms, or whole seconds such as 30")]
    Syntax,
    /// More than Go's limit of 2^63 - 1 ns, about 292 years.
    #[error("longer than 292 years")]
    TooLong,
}

/// Longest first where one unit is the beginning of another. Both signs for micro are Go's.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const MAX_NANOS: u64 = i64::MAX.unsigned_abs();

/// Parses whole seconds or Go's syntax; what is finer than a nanosecond is cut off. Negative durations
/// are a syntax error: nothing that is configured here can be negative.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Syntax);
    }
    let (digits, after) = split_digits(text);
    if after.is_empty() {
        return nanos(digits, "", NANOS_PER_SECOND).map(Duration::from_nanos);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (part, after) = parse_part(rest)?;
        total = total.checked_add(part).filter(|sum| *sum <= MAX_NANOS).ok_or(DurationError::TooLong)?;
        rest = after;
    }
    Ok(Duration::from_nanos(total))
}

/// One number with its unit, in nanoseconds, and what follows it.
fn parse_part(text: &str) -> Result<(u64, &str), DurationError> {
    let (whole, after_whole) = split_digits(text);
    let (fraction, after_number) = match after_whole.strip_prefix('.') {
        Some(after_point) => split_digits(after_point),
        None => ("", after_whole),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::Syntax);
    }
    let (unit, rest) = UNITS
        .iter()
        .find_map(|(name, nanos)| after_number.strip_prefix(name).map(|rest| (*nanos, rest)))
        .ok_or(DurationError::Syntax)?;
    Ok((nanos(whole, fraction, unit)?, rest))
}

/// `whole.fraction` times `unit` ns. Both texts are digits only, or empty.
fn nanos(whole: &str, fraction: &str, unit: u64) -> Result<u64, DurationError> {
    let mut value: u64 = 0;
    for digit in whole.bytes() {
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(u64::from(digit - b'0')))
            .ok_or(DurationError::TooLong)?;
    }
    // Digits beyond the 15th are below a nanosecond even for hours.
    let (mut numerator, mut scale): (u128, u128) = (0, 1);
    for digit in fraction.bytes().take(15) {
        numerator = numerator * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    let total = u128::from(value) * u128::from(unit) + numerator * u128::from(unit) / scale;
    u64::try_from(total).ok().filter(|n| *n <= MAX_NANOS).ok_or(DurationError::TooLong)
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_what_go_accepts() {
        for (text, nanos) in [
            ("0", 0),
            ("30", 30 * NANOS_PER_SECOND),
            ("30s", 30 * NANOS_PER_SECOND),
            ("1m30s", 90 * NANOS_PER_SECOND),
            ("300ms", 300_000_000),
            ("1.5h", 5_400 * NANOS_PER_SECOND),
            (".5s", 500_000_000),
            ("5.s", 5 * NANOS_PER_SECOND),
            ("1h1m1s1ms1us1\u{b5}s1\u{3bc}s1ns", 3_661_001_003_001),
            ("0.9999999999999999999ns", 0),
            ("9223372036854775807ns", MAX_NANOS),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in
            ["", " ", "s", ".", ".s", "1.5", "-1s", "+1s", "1 s", "1s ", "1x", "1sm", "1m30", "\u{661}s"]
        {
            assert_eq!(parse_duration(text), Err(DurationError::Syntax), "{text:?}");
        }
        for text in ["9223372036854775808ns", "9223372037", "99999999999999999999999", "9223372036s1s"] {
            assert_eq!(parse_duration(text), Err(DurationError::TooLong), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,40}|[0-9.hmsnuµ]{0,40}") {
            let _ = parse_duration(&text);
        }

        #[test]
        fn reads_what_it_is_made_of(hours in 0u64..1000, minutes in 0u64..10_000, millis in 0u64..1_000_000) {
            let wanted = Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format!("{hours}h{minutes}m{millis}ms")), Ok(wanted));
        }

        #[test]
        fn reads_whole_seconds(seconds in 0u64..9_223_372_036) {
            prop_assert_eq!(parse_duration(&seconds.to_string()), Ok(Duration::from_secs(seconds)));
        }

        #[test]
        fn reads_fractions(millis in 0u64..1_000_000_000) {
            let text = format!("{}.{:03}s", millis / 1000, millis % 1000);
            prop_assert_eq!(parse_duration(&text), Ok(Duration::from_millis(millis)));
        }
    }
}
