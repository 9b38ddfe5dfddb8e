//! Why the demo cannot go on.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::client::Fault;

/// What to do about a HAProxy that is not there.
const GET_ONE: &str = "`make run` in Roster's repository fetches one; \
                       or install the package haproxy (2.6 or later), or name one with --haproxy";

/// Why the demo cannot go on. Whatever it started is ended all the same.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    /// No HAProxy that would do.
    #[error("no HAProxy was found ({0}); {GET_ONE}")]
    NoHaproxy(String),
    /// The one that was named does not do.
    #[error("{0}; {GET_ONE}")]
    NotUsable(String),
    /// A file or folder of the demo.
    #[error("{path}: {source}; set TMPDIR to a folder that can be written to and has space", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No port on loopback.
    #[error("no port of 127.0.0.1 can be had ({0}); see what uses them with `ss -tan`")]
    Port(io::Error),
    /// The asynchronous runtime does not start.
    #[error("the asynchronous runtime does not start: {0}")]
    Runtime(io::Error),
    /// Signals cannot be listened for.
    #[error("signals cannot be listened for: {0}")]
    Signals(io::Error),
    /// The roster program is not there.
    #[error("{path} is missing; build it with `cargo build -p roster`, or name one with --roster", path = path.display())]
    NoRoster {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A program that does not start.
    #[error("{program} does not start: {source}; check that the file may be run here", program = program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Roster cannot bring HAProxy up.
    #[error("HAProxy does not come up: {why}\n{log}")]
    NotUp {
        /// Why.
        why: String,
        /// What it wrote.
        log: String,
    },
    /// Roster ended.
    #[error("Roster ended by itself ({0}), so the demo is over; its lines above say why, if it could")]
    Ended(String),
    /// Something was waited for and did not come.
    #[error("waited {cap:?} for {what}, but {instead}; Roster's lines above say what it did")]
    NotShown {
        /// What was waited for.
        what: &'static str,
        /// How long.
        cap: Duration,
        /// What there was instead.
        instead: String,
    },
    /// HAProxy's worker cannot be killed as the story wants it.
    #[error("HAProxy's process {0} cannot be found to kill it; was it ended by somebody else?")]
    NotKilled(u32),
    /// The second service does not answer.
    #[error("shop does not answer through HAProxy: {0}")]
    Shop(Fault),
    /// The long download failed.
    #[error("the download through HAProxy failed: {0}")]
    Download(Fault),
}
