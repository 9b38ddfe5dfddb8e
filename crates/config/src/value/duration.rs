//! Durations: always with a unit.

use std::fmt;
use std::str::FromStr;

use jiff::fmt::friendly::SpanParser;
use jiff::{SignedDuration, SpanRelativeTo};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A length of time: `250ms`, `30s`, `5m`, `1h30m`, `24h`, `7d` (a day is 24 hours). Zero is `0s`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(std::time::Duration);

/// Why a text is no duration.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidDuration {
    /// A number alone: seconds to one reader, milliseconds to another.
    #[error("{0} has no unit; write {0}s for seconds or {0}ms for milliseconds")]
    NoUnit(String),
    /// Less than nothing.
    #[error("{0:?} is negative; write 0s for no time at all")]
    Negative(String),
    /// Anything else.
    #[error("{0:?} is not a duration; write for example 250ms, 30s, 5m, 1h30m or 7d")]
    Other(String),
}

impl Duration {
    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(std::time::Duration::from_millis(millis))
    }

    /// The same for the standard library.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<std::time::Duration> for Duration {
    fn from(duration: std::time::Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;
    fn from_str(given: &str) -> Result<Self, InvalidDuration> {
        let shown = || given.chars().take(40).collect::<String>();
        if !given.is_empty() && given.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(InvalidDuration::NoUnit(shown()));
        }
        // The parser also takes `01:30:00`, which is hours to some and minutes to others.
        let span = if given.contains(':') { None } else { SpanParser::new().parse_span(given).ok() };
        let parsed = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        match parsed {
            Some(duration) if duration < SignedDuration::ZERO => Err(InvalidDuration::Negative(shown())),
            Some(duration) => Ok(Self(duration.unsigned_abs())),
            None => Err(InvalidDuration::Other(shown())),
        }
    }
}

impl TryFrom<String> for Duration {
    type Error = InvalidDuration;
    fn try_from(given: String) -> Result<Self, InvalidDuration> {
        given.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> String {
        duration.to_string()
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SignedDuration::try_from(self.0) {
            Ok(duration) => f.pad(&format!("{duration:#}").replace(' ', "")),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

schema_of_marker!(Duration);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed_again() {
        for (given, millis, printed) in [
            ("30s", 30_000, "30s"),
            ("5m", 300_000, "5m"),
            ("250ms", 250, "250ms"),
            ("1h30m", 5_400_000, "1h30m"),
            ("1.5s", 1_500, "1s500ms"),
            ("90m", 5_400_000, "1h30m"),
            ("0s", 0, "0s"),
            ("24h", 86_400_000, "24h"),
            ("7d", 604_800_000, "168h"),
        ] {
            let duration: Duration = given.parse().unwrap();
            assert_eq!(duration.get().as_millis(), millis, "{given}");
            assert_eq!(duration.to_string(), printed);
            assert_eq!(printed.parse::<Duration>().unwrap(), duration);
        }
    }

    #[test]
    fn a_bare_number_is_told_to_take_a_unit() {
        for given in ["30", "0", "1.5"] {
            let error = given.parse::<Duration>().unwrap_err();
            assert_eq!(error, InvalidDuration::NoUnit(given.to_owned()));
        }
        let error = "30".parse::<Duration>().unwrap_err().to_string();
        assert_eq!(error, "30 has no unit; write 30s for seconds or 30ms for milliseconds");
    }

    #[test]
    fn nothing_else_is_a_duration() {
        for wrong in
            ["", "s", "-5s", "5s ago", "1 fortnight", "01:30:00", "30s30", "∞", "99999999999999999999s"]
        {
            assert!(wrong.parse::<Duration>().is_err(), "{wrong:?} was taken");
        }
    }
}
