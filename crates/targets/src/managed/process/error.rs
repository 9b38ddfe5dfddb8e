//! What goes wrong with HAProxy's process.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use roster_haproxy::version::Version;
use thiserror::Error;

use super::child::Ended;
use super::line::{Level, Line, gist};
use super::master::MasterError;
use crate::managed::listen::ListenError;

/// Why HAProxy could not be started, taken over, reloaded or replaced.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// No such file.
    #[error("{0} is not there; install HAProxy, or name its binary")]
    BinaryMissing(PathBuf),
    /// A file that does not run.
    #[error("cannot run {binary}; check that it is an executable for this machine")]
    CannotRun {
        /// The binary.
        binary: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It runs, but is something else.
    #[error("{binary} is not HAProxy: `-v` answers {said:?}; name HAProxy's own binary")]
    NotHaproxy {
        /// The binary.
        binary: PathBuf,
        /// What it answered.
        said: String,
    },
    /// Older than Roster supports.
    #[error("{binary} is HAProxy {found}; Roster needs {} or later", Version::OLDEST)]
    TooOld {
        /// The binary.
        binary: PathBuf,
        /// Its version.
        found: Version,
    },
    /// A path that HAProxy's `-S` would read otherwise.
    #[error(
        "{0} cannot be a master socket's path; use an absolute one without commas and of at most 90 bytes"
    )]
    SocketPath(PathBuf),
    /// The file for HAProxy's output.
    #[error("cannot write HAProxy's output to {path}; make its folder, and let Roster write there")]
    Output {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A socket that HAProxy was to inherit.
    #[error(transparent)]
    Inherited(#[from] ListenError),
    /// The kernel does not let it be followed.
    #[error(
        "cannot follow process {pid}; this needs Linux 5.4 or later and a free file descriptor (ulimit -n)"
    )]
    Follow {
        /// Its number.
        pid: u32,
        /// Why.
        source: io::Error,
    },
    /// A HAProxy that nobody expected runs already.
    #[error("HAProxy runs already, as process {pid}: it answers on {socket}; end it, or let Roster adopt it")]
    RunsAlready {
        /// The master's number.
        pid: u32,
        /// Its socket.
        socket: PathBuf,
    },
    /// The configuration was refused.
    #[error("HAProxy refuses {config}: {}; correct the file", gist(.said))]
    ConfigRefused {
        /// The file.
        config: PathBuf,
        /// What HAProxy wrote.
        said: Vec<Line>,
    },
    /// An address of a `bind` is taken.
    #[error("HAProxy cannot listen: {}; end what listens there, or change the `bind`", gist(.said))]
    AddressInUse {
        /// What HAProxy wrote.
        said: Vec<Line>,
    },
    /// It ended before it served.
    #[error("HAProxy ended by {ended} before it served: {}", gist(.said))]
    EndedEarly {
        /// How.
        ended: Ended,
        /// What it wrote.
        said: Vec<Line>,
    },
    /// It ended while something was asked of it. The next event tells what happens now.
    #[error("HAProxy (process {pid}) ended meanwhile by {ended}; it is started again")]
    Ended {
        /// Its master's number.
        pid: u32,
        /// How.
        ended: Ended,
    },
    /// The task that follows it has ended by a mistake.
    #[error(
        "Roster does not follow HAProxy's process at the moment, for a mistake of its own; this is tried again"
    )]
    NotFollowed,
    /// It runs and does not serve. If it was to be started it was killed; if it was to be adopted it was left alone.
    #[error("HAProxy did not serve within {after:?}: {}; if its configuration is that large, raise the limit", gist(.said))]
    NotReady {
        /// The limit.
        after: Duration,
        /// What it wrote.
        said: Vec<Line>,
    },
    /// What was to be adopted is not there any more.
    #[error("process {pid} is not the HAProxy that was started before; it has ended, so start a new one")]
    Gone {
        /// The number it had.
        pid: u32,
    },
    /// The process runs, but the socket is another's.
    #[error("{socket} belongs to process {found}, not to process {pid}; end the one that is not wanted")]
    OtherMaster {
        /// The socket.
        socket: PathBuf,
        /// The process that was to be adopted.
        pid: u32,
        /// The master that answers there.
        found: u32,
    },
    /// The master's CLI.
    #[error(transparent)]
    Master(#[from] MasterError),
    /// A reload's command line did not run to its end.
    #[error("the reload command `{command}` did not run to its end; try it by hand")]
    Command {
        /// The command line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// A reload's command line took too long.
    #[error("the reload command `{command}` took longer than {after:?} and was killed; try it by hand")]
    CommandTimedOut {
        /// The command line.
        command: String,
        /// The limit.
        after: Duration,
    },
    /// The command said yes, and nothing happened.
    #[error(
        "the reload command `{command}` reported success, but the process that serves is the same after {after:?}; \
         read HAProxy's log for why it refused the file"
    )]
    SameWorker {
        /// The command line.
        command: String,
        /// The limit.
        after: Duration,
    },
}

impl ProcessError {
    /// Why a process that ended did not come to serve.
    pub(super) fn ended_early(config: PathBuf, ended: Ended, said: Vec<Line>) -> Self {
        let alerts = || said.iter().filter(|line| line.level == Level::Alert);
        if alerts().any(|line| line.text.contains("Address already in use")) {
            Self::AddressInUse { said }
        } else if alerts()
            .any(|line| line.text.starts_with("config :") || line.text.contains("configuration"))
        {
            Self::ConfigRefused { config, said }
        } else {
            Self::EndedEarly { ended, said }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(said: &str) -> ProcessError {
        ProcessError::ended_early("/c".into(), Ended::Code(1), said.lines().map(Line::parse).collect())
    }

    #[test]
    fn the_cause_is_read_from_what_haproxy_wrote() {
        let busy = "[NOTICE] (7) : haproxy version is 2.6.12\n\
            [ALERT] (7) : Binding [/c:12] for frontend f: cannot bind socket (Address already in use) for [127.0.0.1:80]\n\
            [ALERT] (7) : [haproxy.main()] Some protocols failed to start their listeners! Exiting.";
        assert!(matches!(error(busy), ProcessError::AddressInUse { .. }));
        let refused = error("[ALERT] (7) : config : parsing [/c:12] : unknown keyword 'x'");
        assert!(matches!(refused, ProcessError::ConfigRefused { .. }));
        assert_eq!(
            refused.to_string(),
            "HAProxy refuses /c: config : parsing [/c:12] : unknown keyword 'x'; correct the file"
        );
        assert!(matches!(error("Segmentation fault"), ProcessError::EndedEarly { .. }));
    }
}
