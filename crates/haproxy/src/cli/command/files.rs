//! Commands about what HAProxy read from files beside its own: maps, crt-lists and certificates (management manual
//! 9.3, `add map`, `new ssl cert`, `add ssl crt-list`).
//!
//! Invariants:
//! - A word that the CLI would not read back as it stands cannot be in a command, so nothing is ever escaped.
//! - A certificate's text, which holds its private key, is only in [`FileCommand::payload`], never in the line.
//! - Files are named by their path: numbers differ between versions (measured).

use std::borrow::Cow;
use std::fmt;

use compact_str::CompactString;
use thiserror::Error;

use crate::pem::Pem;
use crate::render::FilePath;

/// How long a word may be: a path of 512 bytes behind a host of 253 fits.
const LONGEST: usize = 1_024;

/// A key or value of a map that the CLI takes as it is: `[A-Za-z0-9/._~%+,=:@*?&!()-]+`, at most 1,024 bytes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MapWord(CompactString);

/// Not a [`MapWord`], or not a [`CrtLine`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0:?} cannot be said on the runtime socket; it needs a reload, or other characters")]
pub struct InvalidWord(String);

/// The version of a map that `prepare map` opened.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MapVersion(pub u32);

/// A line of a crt-list that can be added live: a certificate and the names that it is for.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CrtLine {
    certificate: FilePath,
    names: Vec<CompactString>,
}

/// A command about a map, a crt-list or a certificate.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum FileCommand {
    /// `show map …`.
    ShowMap(FilePath),
    /// `add map …`: a second entry if the key is there, behind the first, which goes on to count.
    AddMap {
        /// Which map.
        map: FilePath,
        /// The version that is being prepared; without it, the one in use.
        version: Option<MapVersion>,
        /// The key.
        key: MapWord,
        /// What it leads to.
        value: MapWord,
    },
    /// `set map …`: every entry of this key (measured on 2.6 to 3.0).
    SetMap {
        /// Which map.
        map: FilePath,
        /// The key.
        key: MapWord,
        /// What it is to lead to.
        value: MapWord,
    },
    /// `del map … KEY`: every entry of this key.
    DelMap {
        /// Which map.
        map: FilePath,
        /// The key.
        key: MapWord,
    },
    /// `del map … #REFERENCE`: this one entry, whatever its key; only in the process that showed it.
    DelMapEntry {
        /// Which map.
        map: FilePath,
        /// What `show map` puts before the entry.
        reference: u64,
    },
    /// `prepare map …`: opens a version that is not in use before it is committed.
    PrepareMap(FilePath),
    /// `commit map @VERSION …`: the version takes the place of the one in use, at once.
    CommitMap {
        /// Which map.
        map: FilePath,
        /// Which version.
        version: MapVersion,
    },
    /// `clear map @VERSION …`: lets go of what was prepared.
    ClearMap {
        /// Which map.
        map: FilePath,
        /// Which version.
        version: MapVersion,
    },
    /// `show ssl cert`: the certificate of an open transaction, and all that are in memory.
    ShowSslCerts,
    /// `show ssl cert …`.
    ShowSslCert(FilePath),
    /// `new ssl cert …`: room for a certificate that HAProxy did not read when it started.
    NewSslCert(FilePath),
    /// `set ssl cert … <<`: opens a transaction. HAProxy has one for all; 2.6 puts this one's text into that of
    /// another certificate if one is open (measured).
    SetSslCert {
        /// Which certificate.
        certificate: FilePath,
        /// Its text.
        pem: Pem,
    },
    /// `commit ssl cert …`: it is served from now on.
    CommitSslCert(FilePath),
    /// `abort ssl cert …`.
    AbortSslCert(FilePath),
    /// `del ssl cert …`: refused while a crt-list has it.
    DelSslCert(FilePath),
    /// `show ssl crt-list -n …`: with the number of each line.
    ShowCrtList(FilePath),
    /// `add ssl crt-list … <<`: behind all lines.
    AddCrtList {
        /// Which list.
        list: FilePath,
        /// What to add.
        line: CrtLine,
    },
    /// `del ssl crt-list … CERTIFICATE:LINE`: refused for the list's first certificate, unless every bind of the list has
    /// `strict-sni`.
    DelCrtList {
        /// Which list.
        list: FilePath,
        /// The certificate of the line.
        certificate: FilePath,
        /// The number of the line, as `show ssl crt-list -n` tells it.
        line: u32,
    },
}

impl MapWord {
    /// Takes the text if the CLI would read it as this one word.
    pub fn new(given: &str) -> Result<Self, InvalidWord> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-~%+,=:@*?&!()".contains(c);
        if given.is_empty() || given.len() > LONGEST || !given.chars().all(plain) {
            return Err(InvalidWord::of(given));
        }
        Ok(Self(given.into()))
    }

    /// The text as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl InvalidWord {
    fn of(given: &str) -> Self {
        Self(given.chars().take(64).collect())
    }
}

impl CrtLine {
    /// Takes the certificate's path and its names, with `*` or `!` where they have them.
    pub fn new<'n>(certificate: &str, names: impl IntoIterator<Item = &'n str>) -> Result<Self, InvalidWord> {
        let certificate = FilePath::new(certificate).map_err(|_| InvalidWord::of(certificate))?;
        let name = |given: &'n str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-*!".contains(c);
            let fits = !given.is_empty() && given.len() <= 256 && given.chars().all(plain);
            if fits { Ok(given.into()) } else { Err(InvalidWord::of(given)) }
        };
        Ok(Self { certificate, names: names.into_iter().map(name).collect::<Result<_, _>>()? })
    }

    /// The certificate.
    pub fn certificate(&self) -> &FilePath {
        &self.certificate
    }

    /// The names that it is for; without any, those in the certificate.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(CompactString::as_str)
    }
}

impl FileCommand {
    /// True if it only asks.
    pub fn is_query(&self) -> bool {
        matches!(self, Self::ShowMap(_) | Self::ShowSslCerts | Self::ShowSslCert(_) | Self::ShowCrtList(_))
    }

    /// What follows its line; see [`Command::payload`](super::Command::payload).
    pub fn payload(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::SetSslCert { pem, .. } => Some(Cow::Borrowed(pem.secret_text())),
            Self::AddCrtList { line, .. } => Some(Cow::Owned(format!("{line}\n"))),
            _ => None,
        }
    }
}

/// The line as it is sent, without the line break and the payload.
impl fmt::Display for FileCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShowMap(map) => write!(f, "show map {map}"),
            Self::AddMap { map, version: None, key, value } => write!(f, "add map {map} {key} {value}"),
            Self::AddMap { map, version: Some(version), key, value } => {
                write!(f, "add map {version} {map} {key} {value}")
            }
            Self::SetMap { map, key, value } => write!(f, "set map {map} {key} {value}"),
            Self::DelMap { map, key } => write!(f, "del map {map} {key}"),
            Self::DelMapEntry { map, reference } => write!(f, "del map {map} #{reference:#x}"),
            Self::PrepareMap(map) => write!(f, "prepare map {map}"),
            Self::CommitMap { map, version } => write!(f, "commit map {version} {map}"),
            Self::ClearMap { map, version } => write!(f, "clear map {version} {map}"),
            Self::ShowSslCerts => f.write_str("show ssl cert"),
            Self::ShowSslCert(certificate) => write!(f, "show ssl cert {certificate}"),
            Self::NewSslCert(certificate) => write!(f, "new ssl cert {certificate}"),
            Self::SetSslCert { certificate, .. } => write!(f, "set ssl cert {certificate} <<"),
            Self::CommitSslCert(certificate) => write!(f, "commit ssl cert {certificate}"),
            Self::AbortSslCert(certificate) => write!(f, "abort ssl cert {certificate}"),
            Self::DelSslCert(certificate) => write!(f, "del ssl cert {certificate}"),
            Self::ShowCrtList(list) => write!(f, "show ssl crt-list -n {list}"),
            Self::AddCrtList { list, .. } => write!(f, "add ssl crt-list {list} <<"),
            Self::DelCrtList { list, certificate, line } => {
                write!(f, "del ssl crt-list {list} {certificate}:{line}")
            }
        }
    }
}

impl fmt::Display for MapWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for MapVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.0)
    }
}

impl fmt::Display for CrtLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.certificate)?;
        self.names.iter().try_for_each(|name| write!(f, " {name}"))
    }
}
