//! Locks on what only one Roster may keep: a file that is locked, and that says which process has it.
//!
//! A lock ends with its process, however that ends. It is the file's, whatever path leads there, and counts between
//! containers that share the file.

use std::fmt;
use std::fs::{File, Metadata, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::folder;

/// How often, and how long after one another, a lock is tried that another process has.
const AGAIN: u32 = 3;
const PAUSE: Duration = Duration::from_millis(20);
/// The longest note that is read: a number, a path and a name.
const LONGEST: u64 = 8 * 1024;

/// A lock that this process has, until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
    id: FileId,
}

/// A file, whatever path leads to it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct FileId {
    device: u64,
    number: u64,
}

/// The Roster that has a lock, as far as that is known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Holder {
    /// Its process.
    pub pid: Option<u32>,
    /// Its configuration.
    pub config: Option<PathBuf>,
    /// Else how it was started.
    pub command: Option<String>,
    /// The host that it runs on: in a container its process has another number here.
    pub host: Option<String>,
}

/// Why a lock cannot be had.
#[derive(Debug, Error)]
pub(crate) enum LockError {
    /// Another Roster has it.
    #[error("a roster{0} has it")]
    Taken(Holder),
    /// The system says no.
    #[error("{path}: {source}; check the folder's owner, mode and free space")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Lock {
    /// Which file it is.
    pub(crate) fn id(&self) -> FileId {
        self.id
    }

    /// Takes a lock, and notes in it that this process has it, by this configuration.
    pub(crate) fn take(path: &Path, config: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        let mut file = folder::open(path).map_err(failed)?;
        // A command that looks whether the lock is taken has it for a moment.
        let mut taken = file.try_lock();
        for _ in 0..AGAIN {
            if taken.is_ok() {
                break;
            }
            std::thread::sleep(PAUSE);
            taken = file.try_lock();
        }
        match taken {
            Ok(()) => {
                // The note only serves messages.
                let note = Holder::this(config).note();
                file.set_len(0).and_then(|()| file.write_all(note.as_bytes())).ok();
                let found = file.metadata().map_err(failed)?;
                Ok(Self { id: FileId::of(&found), _file: file })
            }
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(Holder::noted(&file))),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

impl FileId {
    fn of(found: &Metadata) -> Self {
        Self { device: found.dev(), number: found.ino() }
    }
}

/// Whether a process has this lock.
pub(crate) fn is_taken(path: &Path) -> bool {
    let Ok(file) = folder::open_to_read(path) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// Which file a lock is.
pub(crate) fn id(path: &Path) -> Option<FileId> {
    Some(FileId::of(&folder::open_to_read(path).ok()?.metadata().ok()?))
}

impl Holder {
    /// This process.
    fn this(config: &Path) -> Self {
        let config = std::path::absolute(config).unwrap_or_else(|_| config.to_owned());
        Self { pid: Some(std::process::id()), config: Some(config), host: host(), command: None }
    }

    fn note(&self) -> String {
        let config = self.config.as_deref().unwrap_or(Path::new("")).display();
        let (pid, host) = (self.pid.unwrap_or_default(), self.host.as_deref().unwrap_or_default());
        format!("{pid}\n{config}\n{host}\n")
    }

    /// The one that left a note.
    fn noted(file: &File) -> Self {
        let mut note = String::new();
        file.take(LONGEST).read_to_string(&mut note).ok();
        let mut lines = note.lines().map(|line| Some(line).filter(|line| !line.is_empty()));
        let mut next = || lines.next().flatten();
        Self {
            pid: next().and_then(|pid| pid.parse().ok()),
            config: next().map(PathBuf::from),
            host: next().map(str::to_owned),
            command: None,
        }
    }
}

/// Text to go behind "a roster".
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.pid.map(|pid| format!("process {pid}"));
        let host = self.host.as_ref().filter(|_| self.host != host()).map(|host| format!("on host {host}"));
        let config = self.config.as_ref().map(|config| format!("configuration {}", config.display()));
        let known: Vec<String> = [pid, host, config, self.command.clone()].into_iter().flatten().collect();
        if known.is_empty() { Ok(()) } else { write!(f, " ({})", known.join(", ")) }
    }
}

fn host() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_lock_is_had_once_and_names_its_holder_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::take(&path, Path::new("/etc/roster.yaml")).unwrap();
        assert!(is_taken(&path));
        let refused = Lock::take(&path, Path::new("other.yaml")).unwrap_err().to_string();
        let pid = std::process::id();
        assert_eq!(refused, format!("a roster (process {pid}, configuration /etc/roster.yaml) has it"));
        drop(held);
        assert!(!is_taken(&path));
        assert!(Lock::take(&path, Path::new("other.yaml")).is_ok());
    }

    #[test]
    fn a_lock_is_the_same_by_every_path() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::create_dir(&one).unwrap();
        symlink(&one, &other).unwrap();
        let _held = Lock::take(&one.join("lock"), Path::new("a")).unwrap();
        assert!(matches!(Lock::take(&other.join("lock"), Path::new("b")), Err(LockError::Taken(_))));
        assert_eq!(id(&one.join("lock")), id(&other.join("lock")));
    }

    #[test]
    fn a_lock_that_is_a_link_or_a_pipe_is_neither_followed_nor_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (link, other) = (folder.path().join("link"), folder.path().join("other"));
        symlink(&other, &link).unwrap();
        assert!(matches!(Lock::take(&link, Path::new("a")), Err(LockError::Io { .. })));
        assert!(!other.exists() && !is_taken(&link));
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        assert!(!is_taken(&pipe));
    }

    #[test]
    fn the_holder_in_another_container_is_named_with_its_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::take(&path, Path::new("/a.yaml")).unwrap();
        fs::write(&path, "1\n/b.yaml\nelse.where\n").unwrap();
        let refused = Lock::take(&path, Path::new("/a.yaml")).unwrap_err().to_string();
        assert_eq!(refused, "a roster (process 1, on host else.where, configuration /b.yaml) has it");
        // The note of a Roster that was killed while it wrote.
        fs::write(&path, "").unwrap();
        let refused = Lock::take(&path, Path::new("/a.yaml")).unwrap_err().to_string();
        assert_eq!(refused, "a roster has it");
        drop(held);
    }
}
