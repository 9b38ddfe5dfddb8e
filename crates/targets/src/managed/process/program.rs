//! What is started, and how.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use roster_haproxy::version::Version;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::ProcessError;
use super::beside;
use super::child::{Process, RunError, run};
use super::life::Backoff;
use super::master::Master;
use super::output::Output;
use crate::managed::listen::hand_over;
use crate::managed::{Environment, Inherited};

/// How long `haproxy -v` may take.
const VERSION_LIMIT: Duration = Duration::from_secs(10);
/// What a Unix socket's path has room for, less what HAProxy adds to it while it binds.
const LONGEST_SOCKET: usize = 90;
/// How often, and how long after one another, a socket is looked at that seems to be deserted: a process has no command
/// line for a moment while it executes itself anew.
const LOOKS: u32 = 2;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
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
    /// The variables that it gets.
    pub environment: Environment,
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
    /// How long a new worker is watched after a reload that went well. Before 3.1 the master says so before the worker has
    /// started in earnest: one that then ends takes the one that served along (`exit-on-failure`).
    pub settle: Duration,
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
            settle: Duration::ZERO,
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
            environment: Environment::default(),
            inherited: Vec::new(),
            stats_sockets: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// The HAProxy that answers on the master socket now, if any, for [`adopt`](super::Supervisor::adopt) where no
    /// record was kept. A socket that one left behind which is gone, as after a crash of the machine, is removed.
    pub async fn running(&self) -> Option<Adoptable> {
        if !self.master_socket.exists() {
            return None;
        }
        if self.is_deserted().await {
            fs::remove_file(&self.master_socket).ok();
            return None;
        }
        // A master that executes itself anew refuses connections meanwhile.
        let limit = self.limits.answer.min(Duration::from_secs(1));
        let all = Master { socket: &self.master_socket, limit }.show_proc().await.ok()?;
        let process = Process::follow(all.master).ok()?;
        Some(Adoptable { pid: process.pid(), started: process.started() })
    }

    /// Whether nobody listens on the master socket, and no process is there that will.
    async fn is_deserted(&self) -> bool {
        for look in 0..LOOKS {
            if look > 0 {
                sleep(BETWEEN_LOOKS).await;
            }
            if !self.master().refuses().await || beside::is_anyone_on(self) {
                return false;
            }
        }
        true
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
        self.environment.set(&mut command);
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
        self.environment.set(&mut command);
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Instant;

    use super::*;

    /// Sooner than whoever waits for an answer gives up.
    const AT_ONCE: Duration = Duration::from_millis(900);

    fn program(folder: &tempfile::TempDir) -> Program {
        Program::new("haproxy", "haproxy.cfg", folder.path().join("master.sock"), "output")
    }

    /// A socket that is there without anybody who listens, as after a crash of the machine.
    fn left_behind(program: &Program) {
        drop(UnixListener::bind(&program.master_socket).unwrap());
    }

    #[tokio::test]
    async fn a_socket_that_a_crash_left_is_removed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(&folder);
        left_behind(&program);
        let began = Instant::now();
        assert_eq!(program.running().await, None);
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        assert!(!program.master_socket.exists());
    }

    #[tokio::test]
    async fn the_socket_of_a_master_that_executes_itself_anew_stays() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(&folder);
        left_behind(&program);
        // What a master's command line looks like, of a process that does not listen.
        let mut master = Command::new("/bin/sh")
            .args(["-c", "read line; exit 0", "haproxy", "-W", "-db", "-S"])
            .arg(program.master_socket_argument())
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(program.running().await, None);
        assert!(program.master_socket.exists());
        master.kill().unwrap();
        master.wait().unwrap();
        assert_eq!(program.running().await, None);
        assert!(!program.master_socket.exists());
    }

    #[tokio::test]
    async fn a_socket_on_which_somebody_listens_stays_though_nobody_answers() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(&folder);
        let _listener = UnixListener::bind(&program.master_socket).unwrap();
        assert_eq!(program.running().await, None);
        assert!(program.master_socket.exists());
    }
}
