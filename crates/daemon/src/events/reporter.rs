//! Where events go: the log, the metrics, and whoever listens.

use std::sync::Arc;

use tokio::sync::broadcast;

use super::fact::{self, Fact, Level};
use crate::metrics::Metrics;

/// How many events wait for a listener who is slow. One who falls further behind is let go.
const WAITING: usize = 512;

/// Takes every event. Its copies are one and the same.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    metrics: Metrics,
    listeners: broadcast::Sender<Arc<Fact>>,
}

impl Default for Reporter {
    fn default() -> Self {
        let (listeners, _) = broadcast::channel(WAITING);
        Self { inner: Arc::new(Inner { metrics: Metrics::default(), listeners }) }
    }
}

impl Reporter {
    /// What is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }

    /// Hears every event from now on.
    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Fact>> {
        self.inner.listeners.subscribe()
    }

    /// Whether anybody takes notice of facts of this level; else they need not be put into words.
    pub(super) fn is_heard(&self, level: Level) -> bool {
        fact::is_logged(level) || (is_streamed(level) && self.inner.listeners.receiver_count() > 0)
    }

    pub(super) fn tell(&self, fact: Fact) {
        fact.log();
        if is_streamed(fact.level) {
            // Nobody listening is no error.
            self.inner.listeners.send(Arc::new(fact)).ok();
        }
    }
}

/// Repetitions of what was told are for the log alone.
fn is_streamed(level: Level) -> bool {
    level > Level::Debug
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;
    use crate::events::{Event, HoldEnded, TargetLost};

    #[test]
    fn a_listener_hears_what_happens_from_then_on_and_no_repetitions() {
        let reporter = Reporter::default();
        let target = "local".parse().unwrap();
        let backend = "web".parse().unwrap();
        HoldEnded { target: &target, backend: &backend }.emit(&reporter);
        let mut heard = reporter.listen();
        let error = std::io::Error::other("no answer");
        let lost = |repeated| TargetLost {
            target: &target,
            error: &error,
            again: std::time::Duration::from_secs(1),
            repeated,
        };
        lost(false).emit(&reporter);
        lost(true).emit(&reporter);
        let fact = heard.try_recv().unwrap();
        assert_eq!((fact.event, fact.about.again_ms), ("target_lost", Some(1000)));
        let json = serde_json::to_value(&*fact).unwrap();
        assert_eq!((&json["level"], &json["target"]), (&"error".into(), &"local".into()));
        assert_eq!(json.get("backend"), None, "what it is not about is left out");
        assert!(matches!(heard.try_recv(), Err(TryRecvError::Empty)));
    }

    #[test]
    fn a_listener_who_is_slow_loses_events_and_holds_nobody_up() {
        let reporter = Reporter::default();
        let mut heard = reporter.listen();
        let (target, backend) = ("local".parse().unwrap(), "web".parse().unwrap());
        for _ in 0..=WAITING {
            HoldEnded { target: &target, backend: &backend }.emit(&reporter);
        }
        assert!(matches!(heard.try_recv(), Err(TryRecvError::Lagged(1))));
    }
}
