//! Folders that Roster alone writes to.
//!
//! Roster makes, replaces and removes files in them, often as root. So a folder in which another user can put a link is
//! refused, and a link in the place of a file is not followed.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::process::geteuid;
use thiserror::Error;

/// For `open`(2): a link is not followed, and a pipe not waited for.
const NO_LINK: i32 = (OFlags::NOFOLLOW.bits() | OFlags::NONBLOCK.bits()).cast_signed();

/// Who may do everything anyway.
const ROOT: u32 = 0;

/// Why a folder cannot be used.
#[derive(Debug, Error)]
pub(crate) enum FolderError {
    /// The system says no.
    #[error("{path}: {source}; check the folder's owner, mode and free space")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder is another user's.
    #[error(
        "{path} belongs to user {owner}, and Roster runs as user {us}; run Roster as user {owner}, say `chown {us} {path}`, \
         or name another folder"
    )]
    NotOurs {
        /// Which.
        path: PathBuf,
        /// The user that owns the folder.
        owner: u32,
        /// The user that Roster runs as.
        us: u32,
    },
    /// Others can write to the folder.
    #[error(
        "{path} has mode {mode:04o}, so other users can replace files in it; say `chmod go-w {path}`, or name another \
         folder, such as a new one in it"
    )]
    Open {
        /// Which.
        path: PathBuf,
        /// The folder's mode.
        mode: u32,
    },
}

/// Who a folder belongs to, and its mode.
#[derive(Clone, Copy, Debug)]
struct Owned {
    user: u32,
    group: u32,
    mode: u32,
}

/// Makes a folder, of mode 700, if there is none.
pub(crate) fn make(path: &Path) -> Result<(), FolderError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| FolderError::Io { path: path.to_owned(), source })
}

/// Refuses a folder that a user other than this one and root can write to. A group with the number of the folder's owner counts
/// as the owner's own.
pub(crate) fn check(path: &Path) -> Result<(), FolderError> {
    let found = fs::metadata(path).map_err(|source| FolderError::Io { path: path.to_owned(), source })?;
    let folder = Owned { user: found.uid(), group: found.gid(), mode: found.mode() & 0o7777 };
    judge(path, folder, geteuid().as_raw())
}

fn judge(path: &Path, folder: Owned, us: u32) -> Result<(), FolderError> {
    let path = path.to_owned();
    let Owned { user: owner, group, mode } = folder;
    if owner != us && owner != ROOT {
        return Err(FolderError::NotOurs { path, owner, us });
    }
    // Where each user has a group of its own, which has the user's number, folders are made with mode 775 (umask 002).
    let others = if group == owner { 0o002 } else { 0o022 };
    if mode & others != 0 {
        return Err(FolderError::Open { path, mode });
    }
    Ok(())
}

/// Opens a file of mode 600 to write to, which is made if there is none. A link in its place is refused.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600).custom_flags(NO_LINK).open(path)
}

/// Opens a file to look at. A link in its place is refused.
pub(crate) fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(NO_LINK).open(path)
}

/// Gives a file this content.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = open(path)?;
    file.set_len(0)?;
    file.write_all(content)
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_folder_that_others_can_write_to_is_refused_with_what_to_do() {
        let of_group = |user, group, mode, us| {
            judge(Path::new("/run/roster"), Owned { user, group, mode }, us).map_err(|e| e.to_string())
        };
        let judge = |owner, mode, us| of_group(owner, 100, mode, us);
        for mode in [0o770, 0o702, 0o1777, 0o2775] {
            assert!(judge(7, mode, 7).unwrap_err().contains("say `chmod go-w /run/roster`"));
        }
        for mode in [0o700, 0o755, 0o2750] {
            // Root can write everywhere.
            assert_eq!((judge(7, mode, 7), judge(0, mode, 7)), (Ok(()), Ok(())));
            let refused = judge(8, mode, 7).unwrap_err();
            assert!(refused.contains("belongs to user 8, and Roster runs as user 7"), "{refused}");
            assert!(judge(8, mode, 0).unwrap_err().contains("chown 0 /run/roster"));
        }
        // The user's own group, which nobody else is in.
        assert_eq!(of_group(7, 7, 0o2775, 7), Ok(()));
        assert!(of_group(7, 7, 0o777, 7).is_err() && of_group(7, 8, 0o770, 7).is_err());
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(check(folder.path()), Err(FolderError::Open { mode: 0o777, .. })));
    }

    #[test]
    fn a_folder_that_is_made_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        make(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (link, other) = (folder.path().join("link"), folder.path().join("other"));
        fs::write(&other, "theirs").unwrap();
        symlink(&other, &link).unwrap();
        assert!(open(&link).is_err() && open_to_read(&link).is_err() && write(&link, b"ours").is_err());
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
    }

    #[test]
    fn content_takes_the_place_of_a_longer_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"much longer").unwrap();
        write(&path, b"short").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }
}
