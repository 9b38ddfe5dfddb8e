//! What is started, and how.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use roster_core::haproxy::Version;
use serde::{Deserialize, Serialize};

use super::ProcessError;
use super::child::{Process, RunError, run};
use super::life::Backoff;
use super::master::Master;
use super::output::Output;
use crate::managed::Inherited;
use crate::managed::listen::hand_over;

/// How long `haproxy -v` may take.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// What a Unix socket's path has room for, less what HAProxy adds to it while it binds.
const LONGEST_SOCKET: usize = 90;
/// Variables that speak to Roster itself: a HAProxy that acted on them would speak in its name, or take itself for a
/// master that executed itself anew.
const WITHHELD: &[&str] = &[
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "HAPROXY_MWORKER_REEXEC",
    "HAPROXY_MWORKER_WAIT_ONLY",
    "HAPROXY_PROCESSES",
    "HAPROXY_STARTUPLOGS_FD",
    "HAPROXY_LOAD_SUCCESS",
];

/// A HAProxy to start: a master with its worker (`-W`), in the foreground whatever its file says (`-db`).
///
/// It leads a process group of its own. A service manager may still end it together with Roster: under systemd say
/// `KillMode=process`.
#[derive(Clone, Debug)]
pub struct Program {
    /// HAProxy.
    pub binary: PathBuf,
    /// Its file.
    pub config: PathBuf,
    /// Where its master is to listen (`-S`), with mode 600. An absolute path.
    pub master_socket: PathBuf,
    /// Where it writes to. Roster reads this into its log and keeps it short.
    pub output: PathBuf,
    /// More arguments, behind all others.
    pub arguments: Vec<OsString>,
    /// Variables of Roster's environment that it does not get, such as those that hold secrets: `show env` tells them to
    /// everyone who reaches a stats socket of level operator.
    pub withheld: Vec<OsString>,
    /// What it inherits.
    pub inherited: Vec<Inherited>,
    /// The stats sockets that its file names. A successor that fails to start would leave their paths leading nowhere,
    /// so they are kept aside meanwhile. The first one must have `expose-fd listeners` if there is any: from it the
    /// successor takes the listening sockets (`-x`), so that no connection is lost that waits in their queues.
    pub stats_sockets: Vec<PathBuf>,
    /// How long things may take.
    pub limits: Limits,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Until a HAProxy that was started serves. Reading a large file takes seconds.
    pub start: Duration,
    /// Until the outcome of a reload is known.
    pub reload: Duration,
    /// For an answer of the master's CLI.
    pub answer: Duration,
    /// Between starts.
    pub backoff: Backoff,
    /// Bytes of output that are kept.
    pub output: u64,
}

/// Names a process that Roster started, for the next Roster to adopt. To be kept by the caller.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Adoptable {
    /// The master's number.
    pub pid: u32,
    /// When it started, in clock ticks since boot (`starttime` of `proc_pid_stat`(5)).
    pub started: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(60),
            reload: Duration::from_secs(60),
            answer: Duration::from_secs(5),
            backoff: Backoff::default(),
            output: 1024 * 1024,
        }
    }
}

impl Program {
    /// With these four and nothing else, and the usual limits.
    pub fn new(
        binary: impl Into<PathBuf>,
        config: impl Into<PathBuf>,
        master_socket: impl Into<PathBuf>,
        output: impl Into<PathBuf>,
    ) -> Self {
        Self {
            binary: binary.into(),
            config: config.into(),
            master_socket: master_socket.into(),
            output: output.into(),
            arguments: Vec::new(),
            withheld: Vec::new(),
            inherited: Vec::new(),
            stats_sockets: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// The HAProxy that answers on the master socket now, if any, for [`adopt`](super::Supervisor::adopt) where no
    /// record was kept.
    pub async fn running(&self) -> Option<Adoptable> {
        if !self.master_socket.exists() {
            return None;
        }
        // Left by one that ended, or a master executes itself anew, which refuses connections meanwhile.
        let limit = self.limits.answer.min(Duration::from_secs(1));
        let all = Master { socket: &self.master_socket, limit }.show_proc().await.ok()?;
        let process = Process::follow(all.master).ok()?;
        Some(Adoptable { pid: process.pid(), started: process.started() })
    }

    /// Refuses what cannot work, before anything is started, and tells the version.
    pub(super) async fn check(&self) -> Result<Version, ProcessError> {
        let socket = &self.master_socket;
        let text = socket.to_str().filter(|text| !text.contains(',') && text.len() <= LONGEST_SOCKET);
        if text.is_none() || !socket.is_absolute() {
            return Err(ProcessError::SocketPath(socket.clone()));
        }
        let binary = || self.binary.clone();
        let mut command = Command::new(&self.binary);
        command.arg("-v");
        let finished = run(command, VERSION_LIMIT).await.map_err(|error| match error {
            RunError::Io(source) => self.cannot_run(source),
            RunError::TimedOut => {
                let said = format!("nothing within {VERSION_LIMIT:?}");
                ProcessError::NotHaproxy { binary: binary(), said }
            }
        })?;
        let is_named =
            ["HAProxy version ", "HA-Proxy version "].iter().any(|name| finished.output.starts_with(name));
        match finished.output.parse::<Version>() {
            Ok(found) if is_named && found >= Version::OLDEST => Ok(found),
            Ok(found) if is_named => Err(ProcessError::TooOld { binary: binary(), found }),
            _ => {
                let said = finished.output.chars().take(80).collect();
                Err(ProcessError::NotHaproxy { binary: binary(), said })
            }
        }
    }

    pub(super) fn spawn(&self, output: &Output, more: &[OsString]) -> Result<Process, ProcessError> {
        let handle = || {
            let wrong = |source| ProcessError::Output { path: self.output.clone(), source };
            output.handle().map_err(wrong)
        };
        let mut command = Command::new(&self.binary);
        command.args(["-W", "-db", "-S"]).arg(self.master_socket_argument()).arg("-f").arg(&self.config);
        command.args(&self.arguments).args(more).stdout(handle()?).stderr(handle()?);
        for name in WITHHELD {
            command.env_remove(name);
        }
        for name in &self.withheld {
            command.env_remove(name);
        }
        if !self.inherited.is_empty() {
            hand_over(&mut command, &self.inherited)?;
        }
        Process::spawn(&mut command).map_err(|source| self.cannot_run(source))
    }

    /// What stands behind `-S`.
    pub(super) fn master_socket_argument(&self) -> OsString {
        let mut socket = self.master_socket.clone().into_os_string();
        socket.push(",mode,600");
        socket
    }

    pub(super) fn master(&self) -> Master<'_> {
        Master { socket: &self.master_socket, limit: self.limits.answer }
    }

    fn cannot_run(&self, source: io::Error) -> ProcessError {
        let binary = self.binary.clone();
        if source.kind() == io::ErrorKind::NotFound {
            ProcessError::BinaryMissing(binary)
        } else {
            ProcessError::CannotRun { binary, source }
        }
    }
}
