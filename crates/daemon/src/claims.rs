//! What no two Rosters may keep at the same time, taken before anything is written.
//!
//! A HAProxy that Roster owns has a lock in its `run_dir` and one beside its file. The socket by which servers are
//! changed has none: Roster need not have the right to write in its folder. It is claimed by a name in Linux's
//! abstract namespace of Unix sockets instead, which ends with the process too. Rosters in different network namespaces do
//! not see each other's names, and those on different hosts see neither.

use std::collections::BTreeMap;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use roster_config::native::{Address, Config, ManagedReach, Reach};
use roster_haproxy::name::TargetName;
use roster_targets::managed::file::lock_beside;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{geteuid, getpid};
use thiserror::Error;
use tracing::warn;

use crate::events::chain;
use crate::exit::Failure;
use crate::folder::{self, FolderError};
use crate::lock::{self, FileId, Holder, Lock, LockError};

/// The lock's name in `run_dir`.
const LOCK: &str = "lock";
/// The longest name in the abstract namespace, in bytes.
const LONGEST: usize = 107;

/// What this Roster keeps.
#[derive(Debug)]
pub(crate) struct Claims {
    /// The configuration that Roster uses.
    by: PathBuf,
    locks: BTreeMap<FileId, (TargetName, Arc<Lock>)>,
    sockets: BTreeMap<String, Arc<UnixListener>>,
}

/// Why a target cannot be kept.
#[derive(Debug, Error)]
pub(crate) enum ClaimError {
    /// Another Roster has its HAProxy.
    #[error(
        "target {target}: {what} is used by another roster{holder}; stop that one, or give this target a `run_dir` and a \
         `config` of its own"
    )]
    Owned {
        /// Which target.
        target: TargetName,
        /// What is locked.
        what: String,
        /// That Roster.
        holder: Box<Holder>,
    },
    /// Another Roster has its socket.
    #[error(
        "target {target}: {socket} is used by another roster{holder}; stop that one, or keep all backends of this HAProxy by \
         one configuration"
    )]
    Socket {
        /// Which target.
        target: TargetName,
        /// The socket.
        socket: String,
        /// That Roster.
        holder: Box<Holder>,
    },
    /// Another target of the configuration has it.
    #[error("target {target}: {what} is that of target {other} too; give each its own")]
    Twice {
        /// Which target.
        target: TargetName,
        /// What is locked.
        what: String,
        /// The other target.
        other: TargetName,
    },
    /// The folder cannot be used.
    #[error("target {target}: run_dir {error}")]
    Folder {
        /// Which target.
        target: TargetName,
        /// Why.
        error: FolderError,
    },
    /// The lock cannot be made.
    #[error("target {target}: {error}")]
    Lock {
        /// Which target.
        target: TargetName,
        /// Why.
        error: LockError,
    },
}

impl From<ClaimError> for Failure {
    fn from(error: ClaimError) -> Self {
        match error {
            // Nothing is wrong with the configuration; it can be tried again once the other is gone.
            ClaimError::Owned { .. } | ClaimError::Socket { .. } => Failure::Other(error.into()),
            ClaimError::Twice { .. } | ClaimError::Folder { .. } | ClaimError::Lock { .. } => {
                Failure::Usage(chain(&error))
            }
        }
    }
}

impl Claims {
    /// Nothing yet, by this configuration.
    pub(crate) fn of(config: &Path) -> Self {
        Self { by: config.to_owned(), locks: BTreeMap::new(), sockets: BTreeMap::new() }
    }

    /// Everything that this configuration keeps. What is had already is kept on, and what only was had before is let go
    /// of with `self`.
    pub(crate) async fn take(&self, config: &Config) -> Result<Self, ClaimError> {
        let mut taken = Self::of(&self.by);
        for (target, reach) in &config.targets {
            if let Reach::Managed(managed) = reach {
                self.take_owned(target, managed, &mut taken)?;
            }
            if let Some(socket) = socket(reach).await {
                self.take_socket(target, socket, &mut taken)?;
            }
        }
        Ok(taken)
    }

    /// Takes the folder and the file of a HAProxy that Roster owns.
    fn take_owned(
        &self,
        target: &TargetName,
        managed: &ManagedReach,
        taken: &mut Self,
    ) -> Result<(), ClaimError> {
        let run_dir = &managed.run_dir;
        let folder = folder::make(run_dir).and_then(|()| folder::check(run_dir));
        folder.map_err(|error| ClaimError::Folder { target: target.clone(), error })?;
        let what = format!("run_dir {}", run_dir.display());
        self.take_lock(target, what, &run_dir.join(LOCK), taken)?;
        let what = format!("config {}", managed.config.display());
        let beside = lock_beside(&managed.config);
        match beside.map(|path| self.take_lock(target, what, &path, taken)) {
            // The file cannot be written either. What needs no file goes on, and the writing says what is wrong.
            Ok(Err(ClaimError::Lock { error, .. })) => {
                warn!(%target, "{error}; another roster that writes this file would not be noticed");
                Ok(())
            }
            Err(error) => {
                warn!(%target, "{}; another roster that writes this file would not be noticed", chain(&error));
                Ok(())
            }
            Ok(done) => done,
        }
    }

    fn take_lock(
        &self,
        target: &TargetName,
        what: String,
        path: &Path,
        taken: &mut Self,
    ) -> Result<(), ClaimError> {
        let target = target.clone();
        let had = lock::id(path).and_then(|id| Some((id, self.locks.get(&id)?.1.clone())));
        if let Some((other, _)) = lock::id(path).and_then(|id| taken.locks.get(&id)) {
            return Err(ClaimError::Twice { target, what, other: other.clone() });
        }
        let (id, lock) = match had {
            Some(had) => had,
            None => match Lock::take(path, &self.by) {
                Ok(lock) => (lock.id(), Arc::new(lock)),
                Err(LockError::Taken(holder)) => {
                    return Err(ClaimError::Owned { target, what, holder: Box::new(holder) });
                }
                Err(error) => return Err(ClaimError::Lock { target, error }),
            },
        };
        taken.locks.insert(id, (target, lock));
        Ok(())
    }

    fn take_socket(&self, target: &TargetName, socket: String, taken: &mut Self) -> Result<(), ClaimError> {
        let claimed = match self.sockets.get(&socket).or_else(|| taken.sockets.get(&socket)) {
            Some(had) => had.clone(),
            None => match claim(&socket) {
                Claimed::Ours(listener) => Arc::new(listener),
                Claimed::Taken(holder) => {
                    let (target, holder) = (target.clone(), Box::new(holder));
                    return Err(ClaimError::Socket { target, socket, holder });
                }
                Claimed::Unclear(why) => {
                    warn!(%target, "{why}; another roster that keeps {socket} would not be noticed");
                    return Ok(());
                }
            },
        };
        taken.sockets.insert(socket, claimed);
        Ok(())
    }
}

/// The stats socket, or what else stands for the one HAProxy that is kept.
async fn socket(reach: &Reach) -> Option<String> {
    match reach {
        Reach::Runtime(runtime) => Some(address(&runtime.address).await),
        Reach::Managed(managed) => Some(real(Path::new(managed.stats_socket.as_str()))),
        Reach::Dataplane(api) => match &api.socket {
            Some(socket) => Some(address(socket).await),
            None => Some(api.url.clone()),
        },
    }
}

async fn address(address: &Address) -> String {
    match address {
        Address::Socket(path) => real(path),
        Address::Tcp(at) => {
            let found = tokio::net::lookup_host((at.host(), at.port())).await.ok();
            found.and_then(|mut found| found.next()).map_or_else(|| at.to_string(), |at| at.to_string())
        }
    }
}

/// Where a socket is, by whatever path it is named. It need not be there yet.
fn real(path: &Path) -> String {
    let in_folder = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    let found = path.canonicalize().ok().or_else(in_folder);
    found.as_deref().unwrap_or(path).display().to_string()
}

/// What came of a claim.
enum Claimed {
    /// It is this process's.
    Ours(UnixListener),
    /// Another process has it.
    Taken(Holder),
    /// It is not known whether another Roster has it.
    Unclear(String),
}

fn claim(socket: &str) -> Claimed {
    let mut name = format!("roster:{socket}");
    if name.len() > LONGEST {
        name = format!("roster:{:08x}", crc32fast::hash(name.as_bytes()));
    }
    let listener = SocketAddr::from_abstract_name(&name).and_then(|at| UnixListener::bind_addr(&at));
    match listener {
        Ok(listener) => Claimed::Ours(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => holder(&name),
        Err(error) => Claimed::Unclear(error.to_string()),
    }
}

/// The process that has a name. Every user can take any; so only this user and root are believed.
fn holder(name: &str) -> Claimed {
    let asked = || {
        let at = SocketAddrUnix::new_abstract_name(name.as_bytes())?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &at)?;
        socket_peercred(&socket)
    };
    match asked() {
        Ok(peer) if peer.uid == geteuid() || peer.uid.is_root() => {
            let pid = Some(peer.pid).filter(|pid| *pid != getpid());
            let pid = pid.and_then(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok());
            Claimed::Taken(Holder { command: pid.and_then(command), pid, ..Holder::default() })
        }
        Ok(peer) => Claimed::Unclear(format!(
            "process {} of user {} says that it keeps this socket",
            peer.pid.as_raw_nonzero(),
            peer.uid.as_raw()
        )),
        // Its queue is full of others that asked.
        Err(rustix::io::Errno::AGAIN) => Claimed::Taken(Holder::default()),
        Err(error) => Claimed::Unclear(error.to_string()),
    }
}

/// How a process was started.
fn command(pid: u32) -> Option<String> {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<_> = words.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    Some(words.join(" ").trim().to_owned()).filter(|words| !words.is_empty())
}
