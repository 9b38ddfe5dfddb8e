//! Waiting by condition. Nothing in the tests sleeps for a fixed time and hopes.

use std::fmt::{Debug, Display};
use std::time::{Duration, Instant};

use crate::or_fail::fail;

/// Short enough that a met condition is seen at once, long enough that ten waiting tests do not load the machine.
const INTERVAL: Duration = Duration::from_millis(5);

/// The condition did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("waited {cap:?} for {what}; the last state was: {last}")]
pub struct Awaited {
    /// What was awaited, as the caller put it.
    pub what: String,
    /// The longest time to wait.
    pub cap: Duration,
    /// The state seen last.
    pub last: String,
}

/// What one look at the condition gave.
#[derive(Debug)]
pub enum Poll<T> {
    /// It is true; this came of it.
    Ready(T),
    /// Not yet; this is what there is instead.
    Pending(String),
}

/// What a condition may return: `bool`, `Option`, `Result` (an error means "not yet") or [`Poll`].
pub trait IntoPoll {
    /// What the wait gives back.
    type Value;
    /// The answer as a [`Poll`].
    fn into_poll(self) -> Poll<Self::Value>;
}

impl IntoPoll for bool {
    type Value = ();
    fn into_poll(self) -> Poll<()> {
        if self { Poll::Ready(()) } else { Poll::Pending("not so".to_owned()) }
    }
}

impl<T> IntoPoll for Option<T> {
    type Value = T;
    fn into_poll(self) -> Poll<T> {
        self.map_or_else(|| Poll::Pending("nothing".to_owned()), Poll::Ready)
    }
}

impl<T, E: Display> IntoPoll for Result<T, E> {
    type Value = T;
    fn into_poll(self) -> Poll<T> {
        self.map_or_else(|error| Poll::Pending(error.to_string()), Poll::Ready)
    }
}

impl<T> IntoPoll for Poll<T> {
    type Value = T;
    fn into_poll(self) -> Self {
        self
    }
}

impl<T: Debug> Poll<T> {
    /// Ready when `met` holds for the value, otherwise pending with the value as the state.
    pub fn when(value: T, met: impl FnOnce(&T) -> bool) -> Self {
        if met(&value) { Self::Ready(value) } else { Self::Pending(format!("{value:?}")) }
    }
}

/// Looks again and again until the condition is true, at most for `cap`.
pub fn wait_until<P: IntoPoll>(
    cap: Duration,
    what: &str,
    mut condition: impl FnMut() -> P,
) -> Result<P::Value, Awaited> {
    let started = Instant::now();
    loop {
        match condition().into_poll() {
            Poll::Ready(value) => return Ok(value),
            Poll::Pending(last) if started.elapsed() >= cap => {
                return Err(Awaited { what: what.to_owned(), cap, last });
            }
            Poll::Pending(_) => std::thread::sleep(INTERVAL),
        }
    }
}

/// [`wait_until`] for test code: fails the test at the caller's line.
#[track_caller]
pub fn wait_until_or_fail<P: IntoPoll>(cap: Duration, what: &str, condition: impl FnMut() -> P) -> P::Value {
    match wait_until(cap, what, condition) {
        Ok(value) => value,
        Err(error) => fail(&error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_met_condition_gives_its_value_at_once() {
        assert_eq!(wait_until(Duration::ZERO, "a value", || Some(7)).unwrap(), 7);
    }

    #[test]
    fn a_condition_is_looked_at_until_it_is_true() {
        let mut looks = 0;
        wait_until(Duration::from_secs(10), "the third look", || {
            looks += 1;
            looks == 3
        })
        .unwrap();
        assert_eq!(looks, 3);
    }

    #[test]
    fn the_error_tells_what_was_awaited_and_the_last_state() {
        let error =
            wait_until(Duration::ZERO, "two servers", || Poll::when(1, |n| *n == 2)).unwrap_err().to_string();
        assert_eq!(error, "waited 0ns for two servers; the last state was: 1");
    }
}
