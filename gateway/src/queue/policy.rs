//! When an asynchronous invocation is tried again.

use std::time::{Duration, SystemTime};

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};

use crate::config::QueueConfig;
use crate::specification::Retries;
use crate::upstream::INTERNAL;

/// No function can ask for a longer wait than this.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// The queue's rules with what a function's annotations change of them.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// All attempts, the first one included.
    pub(super) attempts: u32,
    codes: Vec<u16>,
    min_wait: Duration,
    max_wait: Duration,
}

impl Policy {
    pub(super) fn new(config: &QueueConfig, retries: &Retries) -> Self {
        let min_wait = retries.min_wait.unwrap_or(config.min_wait);
        Self {
            attempts: retries.attempts.unwrap_or(config.attempts),
            codes: retries.codes.clone().unwrap_or_else(|| config.retry_codes.clone()),
            min_wait,
            max_wait: retries.max_wait.unwrap_or(config.max_wait).max(min_wait),
        }
    }

    /// The wait before the next attempt after the `attempt`th was answered so; `None` if there is to be none.
    pub(super) fn again(&self, attempt: u32, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
        // What the gateway or the watchdog says about itself is no answer of the function's, whatever it retries. That
        // the watchdog ended a call for its time is one: it would take as long again.
        let internal = headers.get(INTERNAL).is_some_and(|by| by != "of-watchdog");
        let internal = internal && status != StatusCode::NOT_FOUND;
        let worth_it = internal || self.codes.contains(&status.as_u16());
        if !worth_it || attempt >= self.attempts {
            return None;
        }
        let asked = headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
        Some(match asked {
            Some(asked) => asked.clamp(self.min_wait, LONGEST_ASKED.max(self.min_wait)),
            None => self.doubled(attempt),
        })
    }

    fn doubled(&self, attempt: u32) -> Duration {
        self.min_wait.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(self.max_wait)
    }
}

/// A number of seconds, or a date.
pub(crate) fn retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    let until = || httpdate::parse_http_date(text).ok();
    text.parse().ok().map(Duration::from_secs).or_else(|| {
        // A date that is over means at once.
        until().map(|date| date.duration_since(SystemTime::now()).unwrap_or_default())
    })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn config() -> QueueConfig {
        QueueConfig {
            min_wait: Duration::from_secs(1),
            max_wait: Duration::from_secs(60),
            ..QueueConfig::default()
        }
    }

    #[test]
    fn waits_double_up_to_a_bound_unless_the_function_asks_for_another() {
        let policy = Policy::new(&config(), &Retries::default());
        let seconds = |attempt, headers: &HeaderMap| {
            policy.again(attempt, StatusCode::TOO_MANY_REQUESTS, headers).map(|wait| wait.as_secs())
        };
        let none = HeaderMap::new();
        assert_eq!([1, 2, 3, 7, 90].map(|n| seconds(n, &none)), [1, 2, 4, 60, 60].map(Some));
        assert_eq!(seconds(100, &none), None);
        let asks = |text: &str| HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        assert_eq!(seconds(5, &asks("3")), Some(3));
        assert_eq!(seconds(5, &asks("0")), Some(1), "not below the shortest wait");
        assert_eq!(seconds(1, &asks("300")), Some(300), "the function knows better than the bound");
        assert_eq!(seconds(1, &asks("9999999999")), Some(24 * 60 * 60));
        assert_eq!(seconds(1, &asks("soon")), Some(1));
        let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
        assert!((590..=600).contains(&seconds(1, &asks(&date)).unwrap()));
        assert_eq!(seconds(1, &asks("Fri, 01 Jan 2010 00:00:00 GMT")), Some(1));
    }

    #[test]
    fn annotations_change_the_rules() {
        let retries = Retries {
            attempts: Some(2),
            codes: Some(vec![418]),
            min_wait: Some(Duration::from_secs(90)),
            max_wait: None,
        };
        let policy = Policy::new(&config(), &retries);
        let none = HeaderMap::new();
        let again = |attempt, code, headers: &HeaderMap| {
            policy.again(attempt, StatusCode::from_u16(code).unwrap(), headers).map(|wait| wait.as_secs())
        };
        assert_eq!(again(1, 418, &none), Some(90));
        assert_eq!(again(2, 418, &none), None);
        assert_eq!(again(1, 503, &none), None);
        let by = |who| HeaderMap::from_iter([(INTERNAL, HeaderValue::from_static(who))]);
        let internal = by("proxy");
        assert_eq!(again(1, 503, &internal), Some(90), "the gateway's own failures are always tried again");
        assert_eq!(again(1, 404, &internal), None, "a function that is gone does not come back");
        assert_eq!(again(1, 429, &by("faas-middleware")), Some(90), "all places were taken");
        assert_eq!(again(1, 504, &by("of-watchdog")), None, "it took too long, and would again");
    }
}
