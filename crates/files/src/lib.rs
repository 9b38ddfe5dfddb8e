//! The one way to read a file that Roster did not just write itself.
//!
//! Invariants:
//! - Only regular files are read. Opening never waits: a pipe, a device or a socket is refused before it is opened, and one
//!   that takes the file's place meanwhile is opened without waiting and refused then.
//! - No more than the bound of the file's kind is ever held, however large the file is or grows meanwhile.
//! - [`apart`] keeps a file system that does not answer from stopping anything else: the one who waits may stop waiting.

mod apart;

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::string::FromUtf8Error;

use rustix::fs::{Mode, OFlags};
use thiserror::Error;

pub use apart::{Apart, apart};

/// What a file is read for, which bounds its size.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Roster's configuration, or that of a program that Roster stands in for.
    Configuration,
    /// Lines for HAProxy's file.
    Lines,
    /// The file that Roster writes for HAProxy.
    HaproxyFile,
    /// A list of services and their instances.
    Services,
    /// A certificate with its chain and key.
    Certificate,
    /// The authorities to trust.
    Authorities,
    /// A password or a token.
    Secret,
    /// The settings and credentials that a cloud's programs share.
    CloudSettings,
    /// A record of the state folder.
    Record,
    /// A path or a process number in the state folder.
    Mark,
}

/// What was read.
#[derive(Debug)]
pub struct Content {
    /// The whole file.
    pub bytes: Vec<u8>,
    /// The file as it was opened.
    pub before: Metadata,
    /// The file once it was read.
    pub after: Metadata,
}

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The system does not let it be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A directory, a device, a pipe.
    #[error("it is {what}, not a file")]
    NotAFile {
        /// What it is, with its article.
        what: &'static str,
    },
    /// More than is ever read.
    #[error("it has more than {}, the most that is read of {kind}", Size(kind.limit()))]
    TooLarge {
        /// What it was read for.
        kind: Kind,
    },
}

/// A number of bytes in words.
struct Size(u64);

impl Kind {
    /// The most bytes that are read.
    pub const fn limit(self) -> u64 {
        match self {
            Self::Mark | Self::Secret => 64 << 10,
            Self::Certificate | Self::CloudSettings => 1 << 20,
            Self::Configuration | Self::Lines | Self::Authorities => 16 << 20,
            Self::Services | Self::HaproxyFile => 64 << 20,
            Self::Record => 256 << 20,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "a configuration",
            Self::Lines => "lines for HAProxy",
            Self::HaproxyFile => "HAProxy's file",
            Self::Services => "a list of services",
            Self::Certificate => "a certificate",
            Self::Authorities => "a file of authorities",
            Self::Secret => "a secret",
            Self::CloudSettings => "a cloud's shared settings",
            Self::Record => "a record",
            Self::Mark => "a mark of the state folder",
        })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 1 << 20 => write!(f, "{} MiB", bytes >> 20),
            bytes => write!(f, "{} KiB", bytes >> 10),
        }
    }
}

impl Content {
    /// Whether the file was written to while it was read.
    pub fn is_torn(&self) -> bool {
        let (before, after) = (&self.before, &self.after);
        before.len() != after.len() || before.modified().ok() != after.modified().ok()
    }

    /// The bytes as text.
    pub fn into_text(self) -> Result<String, FromUtf8Error> {
        String::from_utf8(self.bytes)
    }
}

impl ReadError {
    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        let missing = |kind| matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
        matches!(self, Self::Io(error) if missing(error.kind()))
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            ReadError::NotAFile { .. } => Self::new(io::ErrorKind::InvalidInput, error.to_string()),
            ReadError::TooLarge { .. } => Self::new(io::ErrorKind::FileTooLarge, error.to_string()),
        }
    }
}

/// Reads a whole file. It blocks for as long as the file system takes.
pub fn read(path: &Path, kind: Kind) -> Result<Content, ReadError> {
    let mut file = open(path, kind)?;
    let before = file.metadata()?;
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    Read::by_ref(&mut file).take(kind.limit() + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > kind.limit() {
        return Err(ReadError::TooLarge { kind });
    }
    Ok(Content { bytes, before, after: file.metadata()? })
}

/// Reads a whole file of UTF-8 text.
pub fn read_text(path: &Path, kind: Kind) -> Result<String, ReadError> {
    let text = read(path, kind)?.into_text();
    text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.utf8_error()).into())
}

/// Whether a file would be read, for those that only other programs' code can read. One that is not there is not refused.
pub fn check(path: &Path, kind: Kind) -> Result<(), ReadError> {
    match open(path, kind) {
        Err(error) if error.is_missing() => Ok(()),
        other => other.map(drop),
    }
}

/// Opens a file for reading, without waiting for anything but the file system.
pub fn open(path: &Path, kind: Kind) -> Result<File, ReadError> {
    // To open some devices is to do something, so that a look comes first.
    regular(&std::fs::metadata(path)?, kind)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from)?);
    regular(&file.metadata()?, kind)?;
    Ok(file)
}

fn regular(found: &Metadata, kind: Kind) -> Result<(), ReadError> {
    let what = found.file_type();
    let what = match () {
        () if what.is_file() && found.len() > kind.limit() => return Err(ReadError::TooLarge { kind }),
        () if what.is_file() => return Ok(()),
        () if what.is_dir() => "a directory",
        () if what.is_fifo() => "a pipe",
        () if what.is_socket() => "a socket",
        () => "a device",
    };
    Err(ReadError::NotAFile { what })
}

#[cfg(test)]
mod tests;
