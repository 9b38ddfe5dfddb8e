//! What goes wrong with HAProxy's files.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use roster_haproxy::version::Version;
use thiserror::Error;

use crate::managed::listen::ListenError;

/// Why HAProxy's files were not written, checked or put back.
#[derive(Debug, Error)]
pub enum FileError {
    /// A file could not be read, written or renamed.
    #[error("cannot {doing} {path}{}", advice(source))]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A folder, a device or the like is in the way.
    #[error("{0} is no ordinary file; move it away, or name another file")]
    NotAFile(PathBuf),
    /// The owner would change.
    #[error(
        "cannot give the new {path} the owner of the one that is there (user {uid}, group {gid}); run Roster as root, or give the file to Roster's user"
    )]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
        /// Of which group.
        gid: u32,
        /// Why not.
        source: io::Error,
    },
    /// HAProxy does not take it.
    #[error("HAProxy refuses the new {config}, so the one in use stays: {}{}", text.replace('\n', "; "), kept_as(kept.as_ref()))]
    Refused {
        /// haproxy.cfg.
        config: PathBuf,
        /// HAProxy's own words, one alert a line, with the file named as it is kept.
        text: String,
        /// Where the refused file is, to be looked at or given to `haproxy -c`. None if it could not be kept.
        kept: Option<PathBuf>,
        /// The lines of haproxy.cfg that it complains of, from 1, each once and in order.
        lines: Vec<usize>,
    },
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
    /// It was killed.
    #[error(
        "{binary} did not end within {after:?} and was killed; if it waits for a name server, write addresses instead of names"
    )]
    TimedOut {
        /// The binary.
        binary: PathBuf,
        /// The limit.
        after: Duration,
    },
    /// A signal ended the check, which so says nothing about the file.
    #[error("{binary} crashed while it checked the file ({status}); try `haproxy -c` by hand")]
    Crashed {
        /// The binary.
        binary: PathBuf,
        /// How.
        status: ExitStatus,
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
    /// A socket that the check was to inherit.
    #[error(transparent)]
    Inherited(#[from] ListenError),
    /// What is to be put back is not as it was kept.
    #[error("cannot put the former {path} back: {aside}, where it was kept, is gone or was changed")]
    FormerGone {
        /// The file.
        path: PathBuf,
        /// Where its former version was.
        aside: PathBuf,
    },
    /// An answer that HAProxy could not read back.
    #[error("{said:?} is no answer to `show servers state`; the servers' state is not kept")]
    NotState {
        /// How it begins.
        said: String,
    },
}

impl FileError {
    pub(super) fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => "; the disk is full, so free some space",
        io::ErrorKind::QuotaExceeded => "; the quota is used up, so free some space or raise it",
        io::ErrorKind::FileTooLarge => {
            "; raise the limit for file sizes (LimitFSIZE= in the unit, ulimit -f)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; its file system is read-only, so remount it (under systemd say ReadWritePaths=) or name a file elsewhere"
        }
        io::ErrorKind::PermissionDenied => "; let Roster's user read and write there",
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "; make its folder, or name another one",
        _ => "",
    }
}

fn kept_as(kept: Option<&PathBuf>) -> String {
    kept.map(|path| format!("; the refused one is kept as {}", path.display())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_do_next() {
        for (errno, words) in [
            (rustix::io::Errno::NOSPC, "free some space"),
            (rustix::io::Errno::DQUOT, "quota"),
            (rustix::io::Errno::ROFS, "read-only"),
            (rustix::io::Errno::ACCESS, "let Roster's user"),
            (rustix::io::Errno::NOENT, "make its folder"),
            (rustix::io::Errno::FBIG, "ulimit -f"),
        ] {
            let path = std::path::Path::new("/etc/haproxy/.haproxy.cfg.new.1");
            let error = FileError::io("write", path)(errno.into()).to_string();
            assert!(error.starts_with("cannot write /etc/haproxy/") && error.contains(words), "{error}");
        }
    }
}
