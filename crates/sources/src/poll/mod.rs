//! Sources that are listed again and again.
//!
//! - `watch` decides when to list and what to tell. It is pure: the time and chance come in as values.
//! - `driver` lists when told, and tells what it is told.

mod driver;
mod watch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roster_config::native;
use roster_core::instance::{Snapshot, SourceError};

pub use driver::{Poller, Waker};

/// The shortest time from one listing to the next, so that no configuration makes calls without a pause.
pub const SHORTEST: Duration = Duration::from_secs(1);

/// Lists all that a source has.
pub trait Lister: Send {
    /// One complete answer. `known` is the last one, also of before a restart; what a registry leaves unsaid can be kept
    /// from it. Dropping it in the middle must leave nothing behind.
    fn list(
        &mut self,
        known: Option<Arc<Snapshot>>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Snapshot, Failure>> + Send;
}

/// Why there is no complete answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// What is told.
    pub error: SourceError,
    /// What makes two failures the same one, where the error also has what differs each time, such as a request's number.
    pub cause: Option<String>,
    /// How long the registry wants to be left alone.
    pub wait: Option<Duration>,
}

impl Failure {
    /// One that says all by its message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { error: SourceError { message: message.into() }, cause: None, wait: None }
    }

    /// Whether this is the other one again.
    fn is_again(&self, other: &Self) -> bool {
        match (&self.cause, &other.cause) {
            (Some(one), Some(two)) => one == two,
            _ => self.error == other.error,
        }
    }
}

/// How often is listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// From the begin of one listing to that of the next; [`SHORTEST`] at least.
    pub every: Duration,
    /// Up to this long is added each time.
    pub jitter: Duration,
    /// How long after the first failure, counted from its end.
    pub first: Duration,
    /// How long after any failure at most.
    pub longest: Duration,
}

impl From<native::Poll> for Schedule {
    fn from(poll: native::Poll) -> Self {
        let native::Poll { every, jitter, backoff } = poll;
        Self {
            every: every.get(),
            jitter: jitter.get(),
            first: backoff.base.get(),
            longest: backoff.max.get(),
        }
    }
}
