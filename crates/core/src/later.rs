//! Times in the future.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Adds a duration, staying at the end of time where it would pass it.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}
