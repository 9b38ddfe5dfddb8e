//! One record in a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use roster_files::Kind;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{StoreError, make_folder};
use crate::folder;

/// The version of what is written here. A file of another one is not read.
pub(super) const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    roster: u32,
    crc32: u32,
}

/// Writes a record whole, into a folder that is made if there is none.
pub(super) fn write(folder: &Path, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
    let path = folder.join(name);
    let failed = |source: io::Error| StoreError::Io { path: path.clone(), source };
    let body = serde_json::to_vec(value).map_err(|error| failed(error.into()))?;
    let header = Header { roster: VERSION, crc32: crc32fast::hash(&body) };
    let mut text = serde_json::to_vec(&header).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    text.extend_from_slice(&body);
    let beside = beside(folder, name);
    let put = |beside: &Path| -> io::Result<()> {
        folder::write(beside, &text)?;
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

/// Where a file is written before it takes its name. Only the process that holds the folder writes there.
pub(super) fn beside(folder: &Path, name: &str) -> PathBuf {
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

/// A record that is whole; none if there is no such file.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    let bytes = match roster_files::read(path, Kind::Record).map_err(io::Error::from) {
        Ok(content) => content.bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoreError::Io { path: path.to_owned(), source }),
    };
    let result = parse(path, &bytes);
    if result.is_err() {
        // Kept for an operator to look at; the next write takes the name.
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
