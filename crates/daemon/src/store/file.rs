//! One record in a file.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use roster_files::Kind;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{StoreError, make_folder};
use crate::folder;

/// The version of what is written here. A file of another one is not read.
pub(super) const VERSION: u32 = 1;
/// How many bytes are written at once.
pub(super) const PART: usize = 32 * 1024;

#[derive(Serialize, Deserialize)]
struct Header {
    roster: u32,
    crc32: u32,
}

/// A file, and the checksum of what was written to it.
struct Summed {
    file: File,
    sum: crc32fast::Hasher,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sum.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a record whole, into a folder that is made if there is none.
pub(super) fn write(folder: &Path, name: &str, value: &impl Serialize) -> Result<(), StoreError> {
    let path = folder.join(name);
    let failed = |source: io::Error| StoreError::Io { path: path.clone(), source };
    let beside = beside(folder, name);
    let put = |beside: &Path| -> io::Result<()> {
        write_to(folder::open(beside)?, value)?;
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

/// Writes header and value. The value goes to the file part by part, for it may be the answer of a source with tens of
/// thousands of instances; the header comes last, over the room that was left for it.
fn write_to(mut file: File, value: &impl Serialize) -> io::Result<()> {
    let room = header(u32::MAX)?.len();
    file.set_len(0)?;
    file.write_all(&vec![b' '; room + 1])?;
    let mut body = BufWriter::with_capacity(PART, Summed { file, sum: crc32fast::Hasher::new() });
    serde_json::to_writer(&mut body, value)?;
    let Summed { mut file, sum } = body.into_inner().map_err(io::IntoInnerError::into_error)?;
    let mut header = header(sum.finalize())?;
    // Blanks at the end of a line do not matter in JSON.
    header.resize(room, b' ');
    header.push(b'\n');
    file.rewind()?;
    file.write_all(&header)
}

fn header(crc32: u32) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(&Header { roster: VERSION, crc32 })?)
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
