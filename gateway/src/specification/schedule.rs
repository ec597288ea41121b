//! The annotations `topic: cron-function` and `schedule`, as OpenFaaS's cron-connector reads them: when a function is
//! called by the clock. Times are in UTC, as in a cluster's pods.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{SpecificationError, parse_duration};

/// The topic of functions that are called by the clock.
pub(crate) const TOPIC: &str = "cron-function";

/// When a function is called.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    /// As annotated: tells a schedule from another.
    pub(crate) text: String,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    /// At the minutes that five fields name.
    Cron(Box<Cron>),
    /// Again and again after so long.
    Every(Duration),
}

impl Schedule {
    /// Reads the annotations; `None` where the function has another topic, or none.
    pub(super) fn from_annotations(
        annotations: &BTreeMap<String, String>,
    ) -> Result<Option<Self>, SpecificationError> {
        let topics = annotations.get("topic").map(String::as_str).unwrap_or_default();
        if !topics.split(',').any(|topic| topic.trim() == TOPIC) {
            return Ok(None);
        }
        let Some(text) = annotations.get("schedule") else {
            let reason = format!("annotation schedule is missing, which the topic {TOPIC} needs");
            return Err(SpecificationError::Presence(reason));
        };
        let wrong = |why: &str| {
            let wanted = format!("five fields such as */5 * * * *, or @every 30s ({why})");
            SpecificationError::value("annotation schedule", text, wanted)
        };
        let rule = Rule::parse(text.trim()).map_err(|why| wrong(&why))?;
        let schedule = Self { text: text.clone(), rule };
        schedule.next(SystemTime::now()).ok_or_else(|| wrong("there is no such time"))?;
        Ok(Some(schedule))
    }

    /// The first time after `now`; `None` where there is none.
    pub(crate) fn next(&self, now: SystemTime) -> Option<SystemTime> {
        match &self.rule {
            Rule::Every(interval) => now.checked_add(*interval),
            Rule::Cron(cron) => {
                let now = Timestamp::try_from(now).ok()?.to_zoned(TimeZone::UTC);
                cron.find_next_occurrence(&now, false).ok().map(|next| next.timestamp().into())
            }
        }
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(interval) = text.strip_prefix("@every ") {
            let interval =
                parse_duration(interval.trim()).filter(|interval| *interval >= Duration::from_secs(1));
            return interval.map(Self::Every).ok_or_else(|| "the shortest interval is 1s".to_owned());
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        parser
            .parse(text)
            .map(|cron| Self::Cron(Box::new(cron)))
            .map_err(|error| error.to_string().trim_end_matches('.').to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Schedule>, SpecificationError> {
        let annotations = [("topic", TOPIC), ("schedule", text)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        Schedule::from_annotations(&annotations.into())
    }

    fn at(text: &str) -> SystemTime {
        humantime::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn five_fields_are_crons() {
        // A Thursday.
        let now = at("2030-01-31T12:03:20Z");
        for (text, next) in [
            ("*/5 * * * *", "2030-01-31T12:05:00Z"),
            ("3 12 * * *", "2030-02-01T12:03:00Z"),
            ("0 0 1 * *", "2030-02-01T00:00:00Z"),
            ("30 9-17/4 * * 1-5", "2030-01-31T13:30:00Z"),
            // Day of month or day of week, where both are restricted.
            ("0 0 15 * 5", "2030-02-01T00:00:00Z"),
            ("0 0 * * SUN", "2030-02-03T00:00:00Z"),
            ("0 0 * * 7", "2030-02-03T00:00:00Z"),
            ("0 0 29 2 *", "2032-02-29T00:00:00Z"),
            ("@hourly", "2030-01-31T13:00:00Z"),
            ("@every 90s", "2030-01-31T12:04:50Z"),
        ] {
            let schedule = read(text).unwrap().unwrap();
            assert_eq!(schedule.next(now), Some(at(next)), "{text}");
        }
    }

    #[test]
    fn the_next_time_is_always_later() {
        let schedule = read("* * * * *").unwrap().unwrap();
        let minute = at("2030-01-31T12:03:00Z");
        assert_eq!(schedule.next(minute), Some(at("2030-01-31T12:04:00Z")));
        assert_eq!(schedule.next(minute - Duration::from_nanos(1)), Some(minute));
    }

    #[test]
    fn what_is_no_schedule_is_refused_in_one_line() {
        for text in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "0 0 30 2 *",
            "*/0 * * * *",
            "@every 0s",
            "@every",
            "@every soon",
            "@sometimes",
            "every minute",
            "5-1 * * * *",
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("annotation schedule is {text:?}: wanted ")), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn only_the_topic_asks_for_it() {
        let only = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        assert!(Schedule::from_annotations(&only("schedule", "nonsense")).unwrap().is_none());
        assert!(Schedule::from_annotations(&only("topic", "payments")).unwrap().is_none());
        let error = Schedule::from_annotations(&only("topic", "payments, cron-function")).unwrap_err();
        assert_eq!(error.to_string(), "annotation schedule is missing, which the topic cron-function needs");
    }
}
