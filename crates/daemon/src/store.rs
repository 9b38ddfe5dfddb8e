//! The state folder: what Roster last wrote to each target, and what each source last said.
//!
//! Each file is written beside and takes its name at once, and carries a version and a checksum on its first line, so that a file
//! is either whole or not believed. Nothing is forced to the disk before going on: the records have to survive
//! Roster, not the machine, whose HAProxy would be gone with it.

mod file;
#[cfg(test)]
mod unreadable;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use roster_core::applied::{Applied, AppliedBackend, ProcessId, UnreadRecords};
use roster_core::instance::Snapshot;
use roster_haproxy::name::{BackendName, SourceName, TargetName};
use thiserror::Error;

use crate::folder::{self, FolderError};
use crate::lock::{self, Holder, Lock, LockError};
use crate::{clock, own::Book};
use file::{VERSION, beside, read, write};

/// The lock's name in the folder.
const LOCK: &str = "lock";

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
    #[error(
        "{folder} is used by another roster{holder}; stop that one, or give this one its own --state-dir"
    )]
    InUse {
        /// Which.
        folder: PathBuf,
        /// That Roster.
        holder: Box<Holder>,
    },
    /// The folder cannot be taken.
    #[error("the state folder {0}")]
    Folder(FolderError),
}

/// Whether a Roster has this folder.
pub(crate) fn is_held(folder: &Path) -> bool {
    lock::is_taken(&folder.join(LOCK))
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

    /// Takes the folder for this process alone, which uses this configuration.
    pub(crate) fn hold(&self, config: &Path) -> Result<Option<Lock>, StoreError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        folder::check(folder).map_err(StoreError::Folder)?;
        let taken = Lock::take(&folder.join(LOCK), config);
        taken.map(Some).map_err(|error| match error {
            LockError::Taken(holder) => {
                StoreError::InUse { folder: folder.clone(), holder: Box::new(holder) }
            }
            LockError::Io { path, source } => StoreError::Io { path, source },
        })
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
        let mut answer = read(&folder.join("sources").join(format!("{source}.state")))?.map(clock::from_wall);
        if let Some(answer) = &mut answer {
            Snapshot::condense(answer, None);
        }
        Ok(answer)
    }

    /// Keeps what a source says.
    pub(crate) fn keep_last_good(&self, source: &SourceName, snapshot: &Snapshot) -> Result<(), StoreError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        write(&folder.join("sources"), &format!("{source}.state"), &*clock::as_written(snapshot))
    }
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), StoreError> {
    folder::make(folder).map_err(StoreError::Folder)
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
    fn a_record_with_a_short_checksum_and_one_of_many_parts_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let text = |size| "x".repeat(size);
        // Some checksum of a few hundred has fewer digits than the room for it.
        for value in (0..300).map(text).chain([text(3 * file::PART)]) {
            write(folder.path(), "x", &value).unwrap();
            assert_eq!(read::<String>(&path).unwrap(), Some(value));
        }
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
