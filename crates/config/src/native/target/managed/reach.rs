//! What a managed target comes to.

use std::num::NonZeroU32;
use std::path::{self, PathBuf};
use std::time::Duration;

use roster_haproxy::keywords::Millis;
use roster_haproxy::name::TargetName;
use roster_haproxy::render::{FilePath, Ours, UserText};

use super::{ExternalProcess, Listeners, ManagedFrontend, ManagedTarget, ProcessRule};
use crate::document::Path;
use crate::native::resolve::Resolve;
use crate::value::VariableName;

/// An HAProxy whose file Roster writes. Paths are relative to nothing but the root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ManagedReach {
    /// The file to write.
    pub config: PathBuf,
    /// HAProxy: a path, or a name without a `/` to be found in `PATH`.
    pub haproxy: PathBuf,
    /// The folder for what HAProxy and Roster need beside the file while HAProxy runs; to be made if it is not there.
    pub run_dir: PathBuf,
    /// The operator's own text, read. Nothing in it works against [`ManagedReach::ours`].
    pub user: UserText,
    /// The frontends that several services share, in the order of their names.
    pub frontends: Vec<ManagedFrontend>,
    /// The `stats socket` that goes into the file; at most 90 bytes.
    pub stats_socket: FilePath,
    /// Where the servers' state is kept over a reload; in `run_dir`.
    pub state_file: FilePath,
    /// How long a process that was replaced may live on; without it, for as long as it has connections.
    pub hard_stop_after: Option<Millis>,
    /// Who runs HAProxy.
    pub process: ManagedProcess,
    /// How long no more changes that want a reload must have come before it is made. May be zero.
    pub quiet: Duration,
    /// The longest wait for such quiet, from the first of them; not shorter than `quiet`.
    pub at_most: Duration,
    /// How often Roster reloads at most; without it there is no limit.
    pub max_reloads: Option<ReloadBudget>,
    /// What HAProxy and the command that reloads it get of Roster's environment, besides what programs need.
    pub pass_environment: Vec<VariableName>,
    /// How long one exchange with HAProxy may take; not zero.
    pub timeout: Duration,
    /// How often HAProxy is looked at while nothing changes; not zero.
    pub poll: Duration,
}

/// Who runs HAProxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ManagedProcess {
    /// Roster does.
    Own {
        /// Where its master is to listen, in `run_dir`; at most 90 bytes.
        master_socket: FilePath,
        /// Where it writes to, in `run_dir`.
        output: PathBuf,
        /// Who opens the ports.
        listen: Listeners,
        /// What becomes of it when Roster ends.
        at_exit: AtExit,
    },
    /// Somebody else does.
    External {
        /// How it is reloaded.
        reload: ReloadBy,
        /// How long a reload may take until its outcome is known, a command's own run included; not zero.
        timeout: Duration,
    },
}

/// What becomes of HAProxy when Roster ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AtExit {
    /// It goes on.
    Keep,
    /// It ends first.
    Stop {
        /// How long connections may take to end by themselves; zero does not wait.
        graceful: Duration,
    },
}

/// How a HAProxy that somebody else runs is reloaded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ReloadBy {
    /// By its master's socket.
    Master(PathBuf),
    /// By a command line, without a shell.
    Command {
        /// A path, or a name without a `/` to be found in `PATH`.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
}

/// So many reloads at most within such a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReloadBudget {
    /// How many.
    pub count: NonZeroU32,
    /// Within how long; not zero.
    pub per: Duration,
}

/// The folder for sockets and the like, where every socket that is wanted fits in.
pub(super) struct RunDir {
    at: Path,
    folder: FilePath,
}

impl RunDir {
    fn new(cx: &mut Resolve<'_>, at: &Path, target: &ManagedTarget, name: &TargetName) -> Option<Self> {
        let at = at.join("run_dir");
        let default = || path::Path::new("/run/roster").join(name.as_str());
        let folder = cx.file_path(&at, &target.run_dir.clone().unwrap_or_else(default))?;
        let run_dir = Self { at, folder };
        let longest = match &target.process {
            ProcessRule::Own(_) => Some("master.sock"),
            ProcessRule::External(external) if external.socket.is_none() => Some("admin.sock"),
            ProcessRule::External(_) => None,
        };
        if let Some(socket) = longest {
            cx.socket(&run_dir.at, &run_dir.path(socket))?;
        }
        Some(run_dir)
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        path::Path::new(self.folder.as_str()).join(file)
    }

    /// A file in it that HAProxy's file or command line names.
    pub(super) fn file(&self, cx: &mut Resolve<'_>, file: &str) -> Option<FilePath> {
        cx.file_path(&self.at, &self.path(file))
    }
}

impl ManagedReach {
    /// What Roster writes into `global`. The ports can always be taken over: by a process that follows, and by a Roster
    /// that lost the ones it held.
    pub fn ours(&self) -> Ours {
        ours(&self.stats_socket, &self.state_file, self.hard_stop_after)
    }
}

fn ours(stats_socket: &FilePath, state_file: &FilePath, hard_stop_after: Option<Millis>) -> Ours {
    Ours {
        stats_socket: stats_socket.clone(),
        expose_listeners: true,
        hard_stop_after,
        state_file: Some(state_file.clone()),
    }
}

impl ManagedTarget {
    pub(crate) fn resolve(&self, cx: &mut Resolve<'_>, at: &Path, name: &TargetName) -> Option<ManagedReach> {
        self.settle.resolve(cx, &at.join("settle"));
        cx.not_zero(&at.join("timeout"), self.timeout);
        cx.not_zero(&at.join("poll"), self.poll);
        let max_reloads = self.max_reloads.on().map(|most| most.resolve(cx, &at.join("max_reloads")));
        let hard_stop = self.hard_stop_after.on();
        let hard_stop_after = hard_stop.and_then(|time| cx.millis(&at.join("hard_stop_after"), time));
        let run_dir = RunDir::new(cx, at, self, name);
        let process = self.process(cx, at, run_dir.as_ref());
        let stats_socket = self.stats_socket(cx, at, run_dir.as_ref());
        let run_dir = run_dir?;
        let (stats_socket, state_file) = (stats_socket?, run_dir.file(cx, "server-state")?);
        let config = cx.absolute(&self.config);
        let frontends = self.frontends(cx, at, &config);
        let user = self.user_text(cx, at, &config, &ours(&stats_socket, &state_file, hard_stop_after))?;
        Some(ManagedReach {
            config,
            haproxy: cx.program(&self.haproxy),
            run_dir: PathBuf::from(run_dir.folder.as_str()),
            user,
            frontends: frontends?,
            stats_socket,
            state_file,
            hard_stop_after,
            process: process?,
            quiet: self.settle.quiet.get(),
            at_most: self.settle.at_most.get(),
            max_reloads,
            pass_environment: self.pass_environment.clone(),
            timeout: self.timeout.get(),
            poll: self.poll.get(),
        })
    }

    fn stats_socket(&self, cx: &mut Resolve<'_>, at: &Path, run_dir: Option<&RunDir>) -> Option<FilePath> {
        match &self.process {
            ProcessRule::External(ExternalProcess { socket: Some(socket), .. }) => {
                cx.socket(&at.join("process").join("socket"), socket)
            }
            ProcessRule::External(_) | ProcessRule::Own(_) => run_dir?.file(cx, "admin.sock"),
        }
    }
}
