//! Whether the parts agree on the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use openfaas::client::Reply;

use super::Finding;

const PART: &str = "clocks";
/// Leases and records go by the store's clock alone, so this is for people who compare logs.
const TOLERABLE_MS: f64 = 2_000.0;

/// What a clock said.
pub(super) struct Reading {
    /// Whose clock.
    whose: &'static str,
    /// How far it is ahead of this machine's, in milliseconds.
    ahead_ms: f64,
    /// By how much that may be wrong.
    within_ms: f64,
}

impl Reading {
    /// A clock that said `said_ms` since 1970 some time between `asked` and now.
    pub(super) fn new(whose: &'static str, said_ms: f64, asked: Instant) -> Self {
        let half = asked.elapsed().as_secs_f64() * 500.0;
        Self { whose, ahead_ms: said_ms - (since_1970_ms(SystemTime::now()) - half), within_ms: half }
    }

    /// The clocks of the gateway and of the function that it asked. Where the function took long, it is
    /// known less well when each of them looked.
    pub(super) fn of_reply(reply: &Reply, asked: Instant) -> Vec<Self> {
        let header = |name: &str| reply.headers.get(name)?.to_str().ok();
        let start = header("x-start-time").and_then(|text| text.parse::<f64>().ok());
        let gateway = start.map(|nanoseconds| Self::new("gateway", nanoseconds / 1e6, asked));
        // In whole seconds, cut off.
        let date = header("date").and_then(|text| httpdate::parse_http_date(text).ok());
        let function = date.map(|date| {
            let mut reading = Self::new("function", since_1970_ms(date) + 500.0, asked);
            reading.within_ms += 500.0;
            reading
        });
        gateway.into_iter().chain(function).collect()
    }

    /// What to say of it.
    pub(super) fn finding(&self) -> Finding {
        let Self { whose, ahead_ms, within_ms } = self;
        let certain = ahead_ms.abs() - within_ms;
        if certain > TOLERABLE_MS {
            let advice = "let both be set by NTP: times in logs are not comparable";
            let text = format!("the {whose}'s is {ahead_ms:+.0} ms off this machine's (± {within_ms:.0} ms)");
            Finding::warning(PART, text, advice)
        } else {
            let most = ahead_ms.abs() + within_ms;
            Finding::ok(PART, format!("the {whose}'s agrees with this machine's to {most:.0} ms"))
        }
    }
}

fn since_1970_ms(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_clock_that_is_off_is_a_warning() {
        let reading = |ahead_ms, within_ms| Reading { whose: "function", ahead_ms, within_ms }.finding();
        assert_eq!(reading(1900.0, 1.0).level, Level::Ok);
        assert_eq!(reading(-5000.0, 1.0).level, Level::Warning);
        assert_eq!(reading(5000.0, 4000.0).level, Level::Ok, "nobody knows");
        assert!(reading(-5000.0, 1.0).found.contains("-5000 ms"));
    }
}
