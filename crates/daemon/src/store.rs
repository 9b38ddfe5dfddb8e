//! The state folder: what Roster last wrote to each target, and what each source last said.
//!
//! Each file is written beside and takes its name at once, and carries a version and a checksum on its first line, so that a file
//! is either whole or not believed. Nothing is forced to the disk before going on: the records have to survive
//! Roster, not the machine, whose HAProxy would be gone with it.

mod lock;
#[cfg(test)]
mod unreadable;

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use roster_core::applied::{Applied, AppliedBackend, ProcessId, UnreadRecords};
use roster_core::instance::Snapshot;
use roster_core::name::{BackendName, SourceName, TargetName};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{clock, own::Book};
pub(crate) use lock::{Held, is_held};

/// The version of what is written here. A file of another one is not read.
const VERSION: u32 = 1;

/// Where records are kept; nowhere if there is no state folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    folder: Option<PathBuf>,
    /// Whether HAProxy itself keeps the records that there is no folder for.
    by_haproxy: bool,
}

/// Why a record cannot be read or written.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// The system says no.
    #[error("{path}: {source}; check the state folder's owner, mode and free space")]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// The records of a target's backends cannot be listed.
    #[error(
        "{path}: {source}; check the state folder's owner and mode. Without these records Roster goes by what HAProxy shows, \
         and gives no backend that two services want to either of them"
    )]
    Records {
        /// Where.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("{path} is damaged ({why}) and is left aside; Roster goes by what HAProxy shows")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// In what way.
        why: String,
    },
    /// The file is of another Roster.
    #[error("{path} has format {found}, this Roster reads {VERSION}; it is left aside")]
    OtherVersion {
        /// Which.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Another Roster has the folder.
    #[error("{folder} is used by another roster{}; stop that one, or give this one its own --state-dir", process(*.pid))]
    InUse {
        /// Which.
        folder: PathBuf,
        /// The process of that Roster, where it can be told.
        pid: Option<u32>,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    roster: u32,
    crc32: u32,
}

/// A process in words, where it is known.
pub(crate) fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl Store {
    /// A store in this folder, which is made if it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Self, StoreError> {
        make_folder(folder)?;
        Ok(Self::at(folder))
    }

    /// What is in this folder, which is not made before something is kept.
    pub(crate) fn at(folder: &Path) -> Self {
        Self { folder: Some(folder.to_owned()), by_haproxy: false }
    }

    /// No folder: HAProxy itself keeps what it can.
    pub(crate) fn by_haproxy() -> Self {
        Self { folder: None, by_haproxy: true }
    }

    /// Whether HAProxy itself is to keep what it can.
    pub(crate) fn is_by_haproxy(&self) -> bool {
        self.by_haproxy
    }

    /// Whether anything is kept.
    pub(crate) fn is_kept(&self) -> bool {
        self.folder.is_some()
    }

    /// The folder.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    fn target(&self, target: &TargetName) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join("applied").join(target.as_str()))
    }

    /// What was last written to a target, with what could not be read of it.
    pub(crate) fn applied(&self, target: &TargetName) -> (Applied, Vec<StoreError>) {
        let mut applied = Applied::default();
        let mut errors = Vec::new();
        let Some(folder) = self.target(target) else { return (applied, errors) };
        match read::<ProcessId>(&folder.join("process.state")) {
            Ok(process) => applied.process = process,
            Err(error) => errors.push(error),
        }
        let folder = folder.join("backends");
        let mut entries = match fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (applied, errors),
            Err(source) => {
                errors.push(StoreError::Records { path: folder, source });
                applied.unread = UnreadRecords::All;
                return (applied, errors);
            }
        };
        // A record comes before what was left aside of an older one.
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
        for path in entries.iter().map(fs::DirEntry::path) {
            let name = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
            if let Some(Ok(backend)) = name.strip_suffix(".damaged").map(BackendName::new) {
                if !applied.backends.contains_key(&backend) {
                    applied.unread.add(backend);
                }
                continue;
            }
            let Some(Ok(backend)) = name.strip_suffix(".state").map(BackendName::new) else { continue };
            match read::<AppliedBackend>(&path) {
                Ok(Some(record)) => {
                    let record = clock::from_wall(record.of(&backend));
                    applied.backends.insert(backend, record);
                }
                Ok(None) => {}
                Err(error) => {
                    errors.push(error);
                    applied.unread.add(backend);
                }
            }
        }
        (applied, errors)
    }

    /// Keeps which process a target's records are about.
    pub(crate) fn keep_process(
        &self,
        target: &TargetName,
        process: Option<ProcessId>,
    ) -> Result<(), StoreError> {
        match (self.target(target), process) {
            (Some(folder), Some(process)) => write(&folder, "process.state", &process),
            _ => Ok(()),
        }
    }

    /// Keeps the record of one backend.
    pub(crate) fn keep_backend(
        &self,
        target: &TargetName,
        backend: &BackendName,
        record: &AppliedBackend,
    ) -> Result<(), StoreError> {
        let Some(folder) = self.target(target) else { return Ok(()) };
        write(&folder.join("backends"), &format!("{backend}.state"), &*clock::as_written(record))
    }

    /// Drops the record of one backend.
    pub(crate) fn drop_backend(&self, target: &TargetName, backend: &BackendName) -> Result<(), StoreError> {
        let Some(folder) = self.target(target) else { return Ok(()) };
        let (folder, name) = (folder.join("backends"), format!("{backend}.state"));
        fs::remove_file(beside(&folder, &name)).ok();
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::Io { path, source }),
            _ => Ok(()),
        }
    }

    /// What is remembered of a HAProxy that Roster owns.
    pub(crate) fn own(&self, target: &TargetName) -> Result<Option<Book>, StoreError> {
        self.target(target).map_or(Ok(None), |folder| read(&folder.join("own.state")))
    }

    /// Keeps what is to be remembered of it.
    pub(crate) fn keep_own(&self, target: &TargetName, book: &Book) -> Result<(), StoreError> {
        self.target(target).map_or(Ok(()), |folder| write(&folder, "own.state", book))
    }

    /// Forgets everything about a target.
    pub(crate) fn forget(&self, target: &TargetName) -> Result<bool, StoreError> {
        let Some(path) = self.target(target) else { return Ok(false) };
        match fs::remove_dir_all(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// What a source last said, if that was kept.
    pub(crate) fn last_good(&self, source: &SourceName) -> Result<Option<Snapshot>, StoreError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        Ok(read(&folder.join("sources").join(format!("{source}.state")))?.map(clock::from_wall))
    }

    /// Keeps what a source says.
    pub(crate) fn keep_last_good(&self, source: &SourceName, snapshot: &Snapshot) -> Result<(), StoreError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        write(&folder.join("sources"), &format!("{source}.state"), &*clock::as_written(snapshot))
    }
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| StoreError::Io { path: folder.to_owned(), source })
}

fn write(folder: &Path, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
    let path = folder.join(name);
    let failed = |source: io::Error| StoreError::Io { path: path.clone(), source };
    let body = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
    let header = Header { roster: VERSION, crc32: crc32fast::hash(&body) };
    let mut text = serde_json::to_vec(&header).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    text.extend_from_slice(&body);
    let beside = beside(folder, name);
    let put = |beside: &Path| -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(beside)?;
        file.write_all(&text)?;
        swap(beside, &path)
    };
    let first = put(&beside);
    let result = match first {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_folder(folder).and_then(|()| put(&beside).map_err(failed))
        }
        other => other.map_err(failed),
    };
    if result.is_err() {
        fs::remove_file(&beside).ok();
    }
    result
}

/// Where a file is written before it takes its name. Only whoever holds the folder writes there.
fn beside(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!(".{name}.other"))
}

/// Gives the new file the name, and the old one the name of the new: the next write goes there, so that no file is made
/// or removed. A file system that removes thousands of them becomes slow at making new ones (ext4 passes over each that
/// was removed lately).
fn swap(new: &Path, old: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, old, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        // There is none yet, or the file system cannot.
        Err(_) => fs::rename(new, old),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::Io { path: path.to_owned(), source }),
    };
    let result = parse(path, &bytes);
    if result.is_err() {
        // Kept for whoever wants to know what happened; the next write takes the name.
        fs::rename(path, path.with_extension("damaged")).ok();
    }
    result.map(Some)
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, StoreError> {
    let damaged = |why: String| StoreError::Damaged { path: path.to_owned(), why };
    let end =
        bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("it is cut short".into()))?;
    let (header, body) = bytes.split_at_checked(end).ok_or_else(|| damaged("it is cut short".into()))?;
    let body = body.get(1..).unwrap_or_default();
    let header: Header = serde_json::from_slice(header).map_err(|error| damaged(error.to_string()))?;
    if header.roster != VERSION {
        return Err(StoreError::OtherVersion { path: path.to_owned(), found: header.roster });
    }
    if header.crc32 != crc32fast::hash(body) {
        return Err(damaged("its checksum is wrong".into()));
    }
    serde_json::from_slice(body).map_err(|error| damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> TargetName {
        "local".parse().unwrap()
    }

    fn process(pid: u32) -> ProcessId {
        ProcessId { pid, started: None }
    }

    fn kept() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        store.keep_process(&target(), Some(process(7))).unwrap();
        (folder, store)
    }

    fn file(store: &Store) -> PathBuf {
        store.target(&target()).unwrap().join("process.state")
    }

    #[test]
    fn what_was_kept_is_read_back() {
        let (_folder, store) = kept();
        let (applied, errors) = store.applied(&target());
        assert_eq!(applied.process, Some(process(7)));
        assert!(errors.is_empty());
    }

    #[test]
    fn a_damaged_record_is_told_left_aside_and_not_believed() {
        let (_folder, store) = kept();
        let text = fs::read_to_string(file(&store)).unwrap().replace('7', "8");
        fs::write(file(&store), text).unwrap();
        let (applied, errors) = store.applied(&target());
        assert_eq!(applied.process, None);
        assert!(errors[0].to_string().contains("is damaged"), "{}", errors[0]);
        assert!(file(&store).with_extension("damaged").exists());
        assert!(store.applied(&target()).1.is_empty(), "told again at the next start");
    }

    #[test]
    fn a_record_that_was_cut_short_is_not_believed() {
        let (_folder, store) = kept();
        let whole = fs::read(file(&store)).unwrap();
        for length in [0, 3, whole.len() / 2, whole.len() - 1] {
            fs::write(file(&store), &whole[..length]).unwrap();
            assert_eq!(store.applied(&target()).0.process, None, "{length} bytes were believed");
        }
    }

    #[test]
    fn a_record_of_another_version_is_not_believed() {
        let (_folder, store) = kept();
        let text = fs::read_to_string(file(&store)).unwrap().replace("\"roster\":1", "\"roster\":2");
        fs::write(file(&store), text).unwrap();
        let (_, errors) = store.applied(&target());
        assert!(matches!(errors.as_slice(), [StoreError::OtherVersion { found: 2, .. }]), "{errors:?}");
    }

    #[test]
    fn files_are_for_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, store) = kept();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file(&store)), 0o600);
        assert_eq!(mode(store.folder().unwrap()), 0o700);
    }

    #[test]
    fn a_folder_that_is_gone_is_made_again() {
        let (_folder, store) = kept();
        fs::remove_dir_all(store.folder().unwrap()).unwrap();
        store.keep_process(&target(), Some(process(9))).unwrap();
        assert_eq!(store.applied(&target()).0.process, Some(process(9)));
    }
}
