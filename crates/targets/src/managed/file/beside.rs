//! A file that is written beside another one and takes its place whole.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use roster_files::{Content, Kind, ReadError};

use super::FileError;

/// As the kernel itself.
const MOST_LINKS: usize = 40;
/// What a file of ours that waits beside another one is for, in its name.
const PURPOSES: &[&str] = &["try", "try-check", "new", "check", "copy"];

/// A file with a hidden name, `.haproxy.cfg.new.PID`, and mode 600. It is removed when it is dropped before it took its
/// place.
pub(super) struct Beside {
    path: PathBuf,
    target: PathBuf,
    file: File,
    in_place: bool,
}

/// A file that is there.
pub(super) struct Existing {
    pub(super) bytes: Vec<u8>,
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Beside {
    /// Writes these bytes, not necessarily to the disk yet.
    pub(super) fn write(target: &Path, purpose: &str, bytes: &[u8]) -> Result<Self, FileError> {
        let path = hidden(target, &format!("{purpose}.{}", std::process::id()))?;
        // Left by a Roster of the same number, as in a container each one is the first process. It is removed instead of
        // emptied, because it could be somebody's link.
        fs::remove_file(&path).ok();
        let open = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = open.map_err(FileError::io("create", &path))?;
        let mut beside = Self { path, target: target.to_owned(), file, in_place: false };
        beside.file.write_all(bytes).map_err(FileError::io("write", &beside.path))?;
        Ok(beside)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it the mode and owner of the file that it replaces, and waits until it is on the disk.
    pub(super) fn finish(&self, existing: Option<&Existing>) -> Result<(), FileError> {
        if let Some(&Existing { mode, uid, gid, .. }) = existing {
            let own = self.file.metadata().map_err(FileError::io("read", &self.path))?;
            if (own.uid(), own.gid()) != (uid, gid) {
                let failed = |source| FileError::Owner { path: self.target.clone(), uid, gid, source };
                fchown(&self.file, Some(uid), Some(gid)).map_err(failed)?;
            }
            // After the owner, so that nobody of the former one's group could read it meanwhile.
            let set = self.file.set_permissions(Permissions::from_mode(mode));
            set.map_err(FileError::io("set the mode of", &self.path))?;
        }
        self.file.sync_all().map_err(FileError::io("write", &self.path))
    }

    /// Call [`finish`](Self::finish) before.
    pub(super) fn take_place(mut self) -> Result<(), FileError> {
        fs::rename(&self.path, &self.target).map_err(FileError::io("replace", &self.target))?;
        self.in_place = true;
        Ok(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if !self.in_place {
            fs::remove_file(&self.path).ok();
        }
    }
}

impl Existing {
    /// None if there is no such file.
    pub(super) fn read(target: &Path) -> Result<Option<Self>, FileError> {
        match roster_files::read(target, Kind::HaproxyFile) {
            Ok(Content { bytes, before: found, .. }) => {
                Ok(Some(Self { bytes, mode: found.mode() & 0o7777, uid: found.uid(), gid: found.gid() }))
            }
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(ReadError::NotAFile { .. }) => Err(FileError::NotAFile(target.to_owned())),
            Err(error) => Err(FileError::io("read", target)(error.into())),
        }
    }
}

/// Writes a whole file at once, of mode 600 or as one that is there.
pub(super) fn write_whole(target: &Path, bytes: &[u8], like: Option<&Existing>) -> Result<(), FileError> {
    let beside = Beside::write(target, "copy", bytes)?;
    beside.finish(like)?;
    beside.take_place()
}

/// Where a path leads, which may be a place where nothing is yet.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, FileError> {
    let mut found = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&found) {
            Ok(to) => found = folder(&found).join(to),
            // No link, or nothing.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(found);
            }
            Err(source) => return Err(FileError::io("read", &found)(source)),
        }
    }
    Err(FileError::io("follow the links of", path)(rustix::io::Errno::LOOP.into()))
}

/// Waits until the names in the folders of these files are on the disk.
pub(super) fn sync_folders(files: &[PathBuf]) -> Result<(), FileError> {
    for folder in files.iter().map(|file| folder(file)).collect::<BTreeSet<_>>() {
        let sync = File::open(folder).and_then(|open| open.sync_all());
        sync.map_err(FileError::io("write", folder))?;
    }
    Ok(())
}

/// Removes what processes that were killed left beside a file.
pub(super) fn sweep(target: &Path) {
    let Some(name) = target.file_name().and_then(OsStr::to_str) else { return };
    let Ok(entries) = fs::read_dir(folder(target)) else { return };
    let is_left = |entry: &str| {
        let rest = entry.strip_prefix('.').and_then(|rest| rest.strip_prefix(name)?.strip_prefix('.'));
        let parts = rest.and_then(|rest| rest.split_once('.'));
        parts.is_some_and(|(purpose, pid)| {
            let pid = pid.parse::<u32>();
            PURPOSES.contains(&purpose) && pid.is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        })
    };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(is_left) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// `.NAME.SUFFIX` in the same folder.
pub(super) fn hidden(target: &Path, suffix: &str) -> Result<PathBuf, FileError> {
    let name = target.file_name().ok_or_else(|| FileError::NotAFile(target.to_owned()))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".");
    hidden.push(suffix);
    Ok(folder(target).join(hidden))
}

/// `NAMESUFFIX` in the same folder.
pub(super) fn with_suffix(target: &Path, suffix: &str) -> PathBuf {
    let mut path = target.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
