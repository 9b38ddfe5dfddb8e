//! What happens to Roster's own tasks.

use std::time::Duration;

use super::fact::millis;
use super::{About, Event, Level};
use crate::metrics::Metrics;

/// A task ended though it was not stopped.
pub(crate) struct TaskEnded<'a> {
    pub name: &'a str,
    pub cause: &'a str,
    /// In how long it is started anew; none where it has ended too often.
    pub again: Option<Duration>,
}

impl Event for TaskEnded<'_> {
    fn level(&self) -> Level {
        Level::Error
    }

    fn fact(&self) -> (&'static str, String, About) {
        let next = match self.again {
            Some(again) => format!("it is started anew in {again:?}"),
            None => "it has ended too often, so Roster ends".to_owned(),
        };
        let message = format!(
            "{} ended: {}; {next}. This is a mistake in Roster; please report it",
            self.name, self.cause
        );
        let about = About { again_ms: self.again.and_then(millis), ..About::default() };
        ("task_ended", message, about)
    }

    fn count(&self, metrics: &Metrics) {
        metrics.task_ended(self.name);
    }
}
