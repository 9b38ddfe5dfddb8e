//! The log as Python programs write it: `%Y-%m-%d %H:%M:%S LEVEL    [logger] msg`, or JSON with the keys of
//! haproxy-cloud-discovery.

use std::fmt;

use roster_config::native::{LogFormat, LogLevel};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::Burst;
use crate::clock;

/// One line for an event.
struct Lines {
    json: bool,
}

/// What an event says, field by field.
#[derive(Default)]
struct Said {
    fields: Map<String, Value>,
}

/// Starts the log.
pub(crate) fn start(level: LogLevel, format: LogFormat) -> Burst {
    let burst = Burst::default();
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = Lines { json: format == LogFormat::Json };
    // As in the original: libraries say only what is wrong.
    let libraries = level.min(LevelFilter::WARN);
    let targets = Targets::new().with_target("roster", level).with_default(libraries);
    let targets = super::quiet(targets, libraries);
    let builder = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).event_format(lines);
    builder.with_writer(burst.clone()).finish().with(targets).try_init().ok();
    burst
}

fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARNING",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (meta, now) = (event.metadata(), clock::wall());
        let mut said = Said::default();
        event.record(&mut said);
        let message = said.fields.remove("message").unwrap_or_default();
        let (level, logger) = (name(*meta.level()), meta.target().replace("::", "."));
        if self.json {
            let mut line = Map::new();
            let time = now.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string();
            line.insert("timestamp".into(), time.into());
            line.insert("level".into(), level.into());
            line.insert("logger".into(), logger.into());
            line.insert("message".into(), message);
            line.extend(said.fields);
            return writeln!(out, "{}", Value::Object(line));
        }
        let time = now.to_zoned(jiff::tz::TimeZone::system());
        let message = message.as_str().unwrap_or_default();
        write!(out, "{} {level:<8} [{logger}] {message}", time.strftime("%Y-%m-%d %H:%M:%S"))?;
        said.fields.iter().try_for_each(|(key, value)| match value {
            Value::String(text) => write!(out, " {key}={text}"),
            other => write!(out, " {key}={other}"),
        })?;
        writeln!(out)
    }
}

impl Said {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.fields.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::{Read, Seek};
    use std::sync::Arc;

    use tracing::{subscriber, warn};

    use super::*;

    /// The line that the log has for this.
    fn line(json: bool, log: impl FnOnce()) -> String {
        let out = Arc::new(tempfile::tempfile().unwrap());
        let builder = tracing_subscriber::fmt().event_format(Lines { json }).with_writer(Arc::clone(&out));
        subscriber::with_default(builder.finish(), log);
        let mut line = String::new();
        out.as_ref().rewind().unwrap();
        out.as_ref().read_to_string(&mut line).unwrap();
        line
    }

    fn log() {
        warn!(service = "myapp", backend = %"azure-myapp-80-eastus", instances = 2, "hello {}", "world");
    }

    #[test]
    fn what_an_event_is_about_stands_beside_its_message_as_keys_of_json() {
        let line: Value = serde_json::from_str(&line(true, log)).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"WARNING".into(), &"hello world".into()));
        assert_eq!((&line["service"], &line["instances"]), (&"myapp".into(), &2.into()));
        assert_eq!(line["backend"], "azure-myapp-80-eastus");
        let (time, logger) = (line["timestamp"].as_str().unwrap(), line["logger"].as_str().unwrap());
        assert!(time.ends_with("+00:00") && logger.starts_with("roster.telemetry"), "{line}");
    }

    #[test]
    fn what_an_event_is_about_stands_behind_its_message_in_text() {
        let line = line(false, log);
        let (before, words) = line.trim_end().split_once("] hello world ").unwrap();
        assert!(before.contains(" WARNING  [roster.telemetry"), "{line}");
        let words: BTreeSet<&str> = words.split(' ').collect();
        assert_eq!(words, ["service=myapp", "backend=azure-myapp-80-eastus", "instances=2"].into());
    }
}
