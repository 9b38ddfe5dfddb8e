//! What an event says: one flat shape for the log and for whoever listens.

use jiff::Timestamp;
use serde::Serialize;
use tracing::{debug, error, info, warn};

/// How much a fact matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// One fact. Its names are part of the interface: in the log's JSON and in the stream of events.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Fact {
    pub at: Timestamp,
    pub level: Level,
    /// What kind of fact it is.
    pub event: &'static str,
    /// All of it, in words.
    pub message: String,
    #[serde(flatten)]
    pub about: About,
}

/// What a fact is about, as far as it is about that.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct About {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instances: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backends: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left: Option<u64>,
    /// How many servers would leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaving: Option<u64>,
    /// Of how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dur_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again_ms: Option<u64>,
}

/// A number as the log and JSON have it.
pub(super) fn count(number: usize) -> Option<u64> {
    u64::try_from(number).ok()
}

/// Whole milliseconds.
pub(super) fn millis(time: std::time::Duration) -> Option<u64> {
    u64::try_from(time.as_millis()).ok()
}

/// Calls one of the log's macros, whose fields have to stand in the text of the program.
macro_rules! line {
    ($say:ident, $about:expr, $message:expr) => {{
        let About {
            source,
            target,
            service,
            backend,
            server,
            op,
            reason,
            guard,
            before,
            after,
            version,
            taken,
            services,
            instances,
            operations,
            backends,
            left,
            leaving,
            of,
            dur_ms,
            again_ms,
        } = $about;
        $say!(
            source = source.as_deref().map(tracing::field::display),
            target = target.as_deref().map(tracing::field::display),
            service = service.as_deref().map(tracing::field::display),
            backend = backend.as_deref().map(tracing::field::display),
            server = server.as_deref().map(tracing::field::display),
            op = op.map(tracing::field::display),
            reason = reason.as_deref(),
            guard = guard.as_deref(),
            before = before.as_deref(),
            after = after.as_deref(),
            version = version.as_deref().map(tracing::field::display),
            taken = taken.map(tracing::field::display),
            services,
            instances,
            operations,
            backends,
            left,
            leaving,
            of,
            dur_ms,
            again_ms,
            "{}",
            $message
        )
    }};
}

impl Fact {
    /// Writes it to the log, in one line.
    pub(super) fn log(&self) {
        match self.level {
            Level::Debug => line!(debug, &self.about, self.message),
            Level::Info => line!(info, &self.about, self.message),
            Level::Warn => line!(warn, &self.about, self.message),
            Level::Error => line!(error, &self.about, self.message),
        }
    }
}

/// Whether the log has a line for this.
pub(super) fn is_logged(level: Level) -> bool {
    match level {
        Level::Debug => tracing::enabled!(tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(tracing::Level::INFO),
        Level::Warn => tracing::enabled!(tracing::Level::WARN),
        Level::Error => tracing::enabled!(tracing::Level::ERROR),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::Arc;

    use tracing::subscriber;

    use super::*;

    /// The line that the log has for this.
    fn line(json: bool, fact: &Fact) -> String {
        let out = Arc::new(tempfile::tempfile().unwrap());
        let builder =
            tracing_subscriber::fmt().with_ansi(false).with_target(false).with_writer(Arc::clone(&out));
        if json {
            subscriber::with_default(builder.json().flatten_event(true).finish(), || fact.log());
        } else {
            subscriber::with_default(builder.finish(), || fact.log());
        }
        let mut line = String::new();
        out.as_ref().rewind().unwrap();
        out.as_ref().read_to_string(&mut line).unwrap();
        line
    }

    #[test]
    fn what_has_spaces_is_quoted_in_a_line_for_people_and_plain_in_one_for_machines() {
        let about = About {
            server: Some("srv1".into()),
            reason: Some("i-1 \"appeared\"".into()),
            after: Some("process 8 of now".into()),
            ..About::default()
        };
        let at = Timestamp::UNIX_EPOCH;
        let fact =
            Fact { at, level: Level::Warn, event: "changed", message: "srv1: state ready".into(), about };
        let text = line(false, &fact);
        let end =
            "srv1: state ready server=srv1 reason=\"i-1 \\\"appeared\\\"\" after=\"process 8 of now\"\n";
        assert!(text.ends_with(end), "{text}");
        let json: serde_json::Value = serde_json::from_str(&line(true, &fact)).unwrap();
        assert_eq!((&json["server"], &json["reason"]), (&"srv1".into(), &"i-1 \"appeared\"".into()));
    }
}
