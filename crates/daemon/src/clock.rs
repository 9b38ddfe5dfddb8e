//! The one place that asks for the time. Everything else is told.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The time now.
#[allow(clippy::disallowed_methods, reason = "this is the border at which the clock is read")]
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// So long after a moment, at most the end of time.
pub(crate) fn after(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// How long it is until then; nothing if it has passed.
pub(crate) fn until(then: Timestamp) -> Duration {
    then.duration_since(now()).try_into().unwrap_or(Duration::ZERO)
}
