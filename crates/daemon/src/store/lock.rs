//! The lock of a state folder: one Roster has it, and says in it which process that is.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use super::{Store, StoreError};

/// The file that is locked.
const LOCK: &str = "lock";
/// How often, and how long after one another, a lock is tried that another process has.
const AGAIN: u32 = 3;
const PAUSE: Duration = Duration::from_millis(20);

/// Holds the state folder for one Roster; ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Held {
    _lock: File,
}

/// Whether a Roster has this folder.
pub(crate) fn is_held(folder: &Path) -> bool {
    let Ok(lock) = File::open(folder.join(LOCK)) else { return false };
    matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}

impl Store {
    /// Takes the folder for this process alone, and says in it which process that is.
    pub(crate) fn hold(&self) -> Result<Option<Held>, StoreError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let path = folder.join(LOCK);
        let failed = |source| StoreError::Io { path: path.clone(), source };
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(&path);
        let mut file = file.map_err(failed)?;
        // A command that looks whether the folder is held has the lock for a moment.
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
                // It only serves messages.
                file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).ok();
                Ok(Some(Held { _lock: file }))
            }
            Err(fs::TryLockError::WouldBlock) => {
                let pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
                Err(StoreError::InUse { folder: folder.clone(), pid })
            }
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_roster_does_not_get_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let held = store.hold().unwrap();
        assert!(is_held(store.folder().unwrap()));
        let refused = store.hold().unwrap_err();
        let own = std::process::id();
        assert!(matches!(refused, StoreError::InUse { pid: Some(pid), .. } if pid == own), "{refused}");
        drop(held);
        assert!(!is_held(store.folder().unwrap()));
        assert!(store.hold().is_ok());
    }
}
