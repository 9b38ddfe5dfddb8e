//! The log: text for people or JSON for machines, on standard error.

mod burst;
pub(crate) mod python;

use roster_config::native::{Log, LogFormat, LogLevel};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{cli, clock, supervise};
pub(crate) use burst::{Burst, dropped};

/// Time as the rest of Roster writes it: RFC 3339, UTC, milliseconds.
struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, w: &mut Writer<'_>) -> std::fmt::Result {
        write!(w, "{:.3}", clock::wall())
    }
}

/// Libraries whose warnings Roster reports itself, once each and not at every listing.
const REPORTED_BY_ROSTER: [&str; 4] = ["aws_config", "aws_runtime", "aws_smithy", "aws_sdk"];

/// Starts the log. What was asked for on the command line wins over the configuration. Whoever serves what is returned
/// has its lines written in bursts.
pub(crate) fn start(log: Log, asked: Option<cli::LogFormat>) -> Burst {
    let burst = Burst::default();
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let json = match asked {
        Some(asked) => matches!(asked, cli::LogFormat::Json),
        None => log.format == LogFormat::Json,
    };
    // What libraries say of their own work may hold credentials.
    let targets = Targets::new().with_target("roster", level).with_default(level.min(LevelFilter::INFO));
    let targets = quiet(targets, level);
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_timer(Clock)
        .with_target(false)
        .with_ansi(false)
        .with_writer(burst.clone());
    // A second start, after the configuration was read again, keeps the log as it is.
    if json {
        builder.json().flatten_event(true).with_current_span(false).finish().with(targets).try_init().ok();
    } else {
        builder.finish().with(targets).try_init().ok();
    }
    burst
}

/// Leaves out what Roster reports itself, except at the levels for debugging.
fn quiet(targets: Targets, level: LevelFilter) -> Targets {
    let libraries = if level >= LevelFilter::DEBUG { LevelFilter::DEBUG } else { LevelFilter::OFF };
    targets.with_targets(REPORTED_BY_ROSTER.map(|library| (library, libraries)))
}

/// Has a panic logged like anything else, with its place in the program.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a mistake in Roster: {}", supervise::words(panic.payload()));
    }));
}
