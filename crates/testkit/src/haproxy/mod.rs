//! A real HAProxy in a temporary folder of its own.
//!
//! Invariants: each process that this module started is waited for (reaped) before the folder goes, and a call that
//! starts, reloads or restarts returns only when the new process answers on the stats socket.

mod builder;
mod cli;
mod process;
mod state;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::component::{HaproxyBin, MissingComponent};
use crate::ports::NoFreePort;
use crate::wait::{Awaited, Poll, wait_until};

pub use builder::HaproxyBuilder;
pub use cli::{CliError, cli_at};
use cli::{master_report, value_of};
use process::Family;
pub use state::{ServerRow, parse_servers_state};

/// Generous, because the tests share a small machine with compilers.
const CAP: Duration = Duration::from_secs(20);

/// A running (or deliberately ended) HAProxy. Dropping it ends its processes.
#[derive(Debug)]
pub struct Haproxy {
    // Declared before the folder: the processes end first.
    family: Family,
    bin: HaproxyBin,
    master_worker: bool,
    stats_port: Option<u16>,
    whole_config: bool,
    globals: String,
    ports: BTreeMap<String, u16>,
    dir: TempDir,
}

/// What went wrong with a HAProxy under test.
#[derive(Debug, thiserror::Error)]
pub enum HaproxyError {
    /// No binary.
    #[error(transparent)]
    Missing(#[from] MissingComponent),
    /// No port for a `{port:…}` of the configuration.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// A `{…}` in the configuration that is not known.
    #[error("the configuration has {{{0}}}; known are {{port:NAME}}, {{dir}}, {{socket}} and {{master}}")]
    Placeholder(String),
    /// The test asks for a port by a name that its configuration does not use.
    #[error("the configuration has no {{port:{0}}}")]
    UnknownPort(String),
    /// Files or processes.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// It ended, or did not answer in time.
    #[error("{bin} did not come up: {why}\n--- its log:\n{log}")]
    NotUp {
        /// Which HAProxy.
        bin: String,
        /// The last state.
        why: String,
        /// All that it wrote.
        log: String,
    },
    /// It refused to reload; the old worker goes on.
    #[error("HAProxy refused to reload\n--- its log:\n{log}")]
    ReloadRefused {
        /// All that it wrote.
        log: String,
    },
    /// A command on a CLI socket failed.
    #[error(transparent)]
    Cli(#[from] CliError),
    /// The server is not in the backend.
    #[error("no server {server} in backend {backend}; it has: {known}")]
    NoServer {
        /// The backend.
        backend: String,
        /// The server.
        server: String,
        /// The backend's servers.
        known: String,
    },
    /// A process did not end.
    #[error(transparent)]
    Awaited(#[from] Awaited),
}

impl Haproxy {
    /// Begins a HAProxy's configuration; `start` ends it.
    pub fn builder(bin: &HaproxyBin) -> HaproxyBuilder {
        HaproxyBuilder::new(bin)
    }

    /// The process that was started: the master in master-worker mode. Also a dead one's, after `kill9` or `stop`.
    pub fn pid(&self) -> u32 {
        self.family.pid()
    }

    /// The process that serves the stats socket now.
    pub fn worker_pid(&self) -> Result<u32, HaproxyError> {
        let info = self.cli("show info")?;
        value_of(&info, "Pid").and_then(|pid| pid.parse().ok()).ok_or_else(|| {
            CliError::Unexpected { command: "show info".to_owned(), answer: info.clone() }.into()
        })
    }

    /// How often its master reloaded, by its own count.
    pub fn reloads(&self) -> Result<u64, HaproxyError> {
        // A master that executes itself anew breaks connections off for a moment.
        let answer = wait_until(CAP, "the master's CLI", || self.master_cli("show proc").ok())
            .or_else(|_| self.master_cli("show proc"))?;
        let mut rows = answer.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let count = rows.find_map(|row| match row.as_slice() {
            [_, "master", count, ..] => count.parse().ok(),
            _ => None,
        });
        count.ok_or_else(|| CliError::Unexpected { command: "show proc".to_owned(), answer }.into())
    }

    /// Which HAProxy this is.
    pub fn bin(&self) -> &HaproxyBin {
        &self.bin
    }

    /// Whether it runs as a master with workers, and so has a master's CLI.
    pub fn is_master_worker(&self) -> bool {
        self.master_worker
    }

    /// Its folder; gone when this value is dropped.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The stats socket, of level admin.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("admin.sock")
    }

    /// The master's CLI socket (master-worker mode).
    pub fn master_socket(&self) -> PathBuf {
        self.dir.path().join("master.sock")
    }

    /// The second stats socket, on loopback, when the builder was asked for one.
    pub fn stats_addr(&self) -> Option<SocketAddr> {
        self.stats_port.map(|port| (Ipv4Addr::LOCALHOST, port).into())
    }

    /// The configuration file; a test may write to it, and `reload` or `restart` after.
    pub fn config_path(&self) -> PathBuf {
        self.dir.path().join("haproxy.cfg")
    }

    /// The port that `{port:NAME}` in the configuration became. It stays over reloads and restarts.
    pub fn port(&self, name: &str) -> Result<u16, HaproxyError> {
        self.ports.get(name).copied().ok_or_else(|| HaproxyError::UnknownPort(name.to_owned()))
    }

    /// The loopback address of `{port:NAME}`.
    pub fn addr(&self, name: &str) -> Result<SocketAddr, HaproxyError> {
        Ok((Ipv4Addr::LOCALHOST, self.port(name)?).into())
    }

    /// All that HAProxy wrote to its standard output and error, over all its processes.
    pub fn log(&self) -> String {
        fs::read(self.dir.path().join("haproxy.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Writes a new configuration, with the builder's placeholders and preamble. It counts from the next reload on.
    pub fn set_config(&mut self, text: &str) -> Result<(), HaproxyError> {
        builder::write_config(self, text)
    }

    /// Takes the configuration file into use without losing the listening sockets: by the master, or in plain mode
    /// by a new process that takes the sockets over and ends the old one (`-x` and `-sf`).
    pub fn reload(&mut self) -> Result<(), HaproxyError> {
        if self.master_worker { self.reload_by_master() } else { self.reload_by_successor() }
    }

    /// Ends it in order and starts it again on the same files: runtime changes are lost, the pid is new.
    pub fn restart(&mut self) -> Result<(), HaproxyError> {
        self.stop()?;
        self.start_again()
    }

    /// Ends it in order (SIGTERM) and waits for its end. The files stay.
    pub fn stop(&mut self) -> Result<(), HaproxyError> {
        Ok(self.family.stop(CAP)?)
    }

    /// Starts it again after `stop` or `kill9`.
    pub fn start_again(&mut self) -> Result<(), HaproxyError> {
        let mut arguments = vec!["-f".to_owned(), self.config_path().display().to_string()];
        if self.master_worker {
            let socket = format!("{},mode,600,level,admin", self.master_socket().display());
            arguments.extend(["-W".to_owned(), "-S".to_owned(), socket]);
        } else {
            arguments.push("-db".to_owned());
        }
        self.spawn(&arguments)?;
        self.until_up(None)
    }

    /// Kills it as a crash would: the master and every worker, at once.
    pub fn kill9(&mut self) -> Result<(), HaproxyError> {
        Ok(self.family.kill(CAP)?)
    }

    /// Freezes every process of it (SIGSTOP), and returns when they stand still: the kernel goes on accepting
    /// connections, nobody answers.
    pub fn pause(&self) -> Result<(), HaproxyError> {
        Ok(self.family.freeze(CAP)?)
    }

    /// Ends a `pause`.
    pub fn resume(&self) {
        self.family.signal(rustix::process::Signal::CONT);
    }

    /// Whether the process of [`Haproxy::pid`] still runs.
    pub fn is_running(&mut self) -> bool {
        self.family.exit_status().is_none()
    }

    fn spawn(&mut self, arguments: &[String]) -> Result<(), HaproxyError> {
        self.family.spawn(self.bin.path(), arguments, &self.dir.path().join("haproxy.log")).map_err(
            |source| HaproxyError::Io { what: format!("cannot start {}", self.bin.path().display()), source },
        )
    }

    /// Until the stats socket is answered by a process of this family other than `before`, and the master's CLI too:
    /// a master re-executes itself once its worker is up, and resets the connections it finds waiting.
    fn until_up(&mut self, before: Option<u32>) -> Result<(), HaproxyError> {
        let up = wait_until(CAP, "an answer on the stats socket", || {
            if let Some(status) = self.family.exit_status() {
                return Poll::Ready(Err(format!("it ended with {status}")));
            }
            match self.worker_pid() {
                Ok(pid) if Some(pid) != before && self.master_worker => match self.master_cli("show proc") {
                    Ok(_) => Poll::Ready(Ok(())),
                    Err(error) => Poll::Pending(error.to_string()),
                },
                Ok(pid) if Some(pid) != before => Poll::Ready(Ok(())),
                Ok(pid) => Poll::Pending(format!("process {pid} still answers")),
                Err(error) => Poll::Pending(error.to_string()),
            }
        });
        match up {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(self.not_up(why)),
            Err(late) => Err(self.not_up(late.to_string())),
        }
    }

    fn reload_by_successor(&mut self) -> Result<(), HaproxyError> {
        let old = self.pid();
        let path = |path: PathBuf| path.display().to_string();
        let (config, socket) = (path(self.config_path()), path(self.socket()));
        let pid = old.to_string();
        self.spawn(&["-f", &config, "-db", "-x", &socket, "-sf", &pid].map(str::to_owned))?;
        match self.until_up(Some(old)) {
            Err(HaproxyError::NotUp { log, .. }) if self.family.keep_predecessor() => {
                Err(HaproxyError::ReloadRefused { log })
            }
            other => other,
        }
    }

    fn reload_by_master(&mut self) -> Result<(), HaproxyError> {
        let before = self.worker_pid()?;
        let reloads = master_report(&self.master_cli("show proc")?).map_or(0, |report| report.reloads);
        // 2.6 closes the connection without an answer; what came of it is read from `show proc` on every version.
        let sent = self.master_cli("reload");
        let refused = wait_until(CAP, "the outcome of the reload", || match self.master_cli("show proc") {
            Ok(text) => match master_report(&text) {
                Some(report) if report.reloads > reloads && report.failed > 0 => Poll::Ready(true),
                Some(report)
                    if report.reloads > reloads && report.workers.iter().any(|&pid| pid != before) =>
                {
                    Poll::Ready(false)
                }
                _ => Poll::Pending(text),
            },
            Err(error) => Poll::Pending(format!("{error} (reload itself: {sent:?})")),
        });
        match refused {
            Ok(true) => Err(HaproxyError::ReloadRefused { log: self.log() }),
            Ok(false) => self.until_up(Some(before)),
            Err(late) => Err(self.not_up(late.to_string())),
        }
    }

    fn not_up(&self, why: String) -> HaproxyError {
        HaproxyError::NotUp { bin: self.bin.to_string(), why, log: self.log() }
    }
}
