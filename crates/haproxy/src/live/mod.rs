//! What brings a running HAProxy to the maps and certificates that its files name, without a reload.
//!
//! Each part reads what HAProxy shows, compares it with what the file says, and gives the fewest commands. HAProxy is the
//! truth: where it shows what is wanted there are none.
//!
//! Invariants:
//! - A key of a map that is there and is wanted is there after every single command; so is a name of a crt-list.
//! - What the commands cannot reach is told ([`NeedsReload`]) and never half done.
//! - A private key is in no value that can be printed.

mod answer;
pub mod certificate;
pub mod crt_list;
pub mod map;

use std::fmt;

pub use answer::judge;
pub use certificate::{Held, ShownCertificate};
pub use crt_list::{CrtListPlan, First};
pub use map::{MapPlan, Swap};
use thiserror::Error;

pub use crate::pem::{Fingerprint, InvalidPem, Pem};
use crate::render::FilePath;

/// How much of an unknown text an error repeats.
const SHOWN: usize = 300;

/// Something that was changed in HAProxy, in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Some entries of a map.
    Map {
        /// Which.
        map: FilePath,
        /// How many came.
        added: usize,
        /// How many lead elsewhere.
        set: usize,
        /// How many went.
        deleted: usize,
    },
    /// All of a map at once.
    Swapped {
        /// Which.
        map: FilePath,
        /// How many entries it has now.
        entries: usize,
    },
    /// A certificate that is served anew or instead of another.
    Certificate {
        /// Which.
        certificate: FilePath,
        /// What it is now.
        fingerprint: Fingerprint,
        /// True if HAProxy did not have it.
        new: bool,
    },
    /// A certificate that no list has any more.
    Forgotten(FilePath),
    /// Lines of a crt-list.
    CrtList {
        /// Which.
        list: FilePath,
        /// How many came.
        added: usize,
        /// How many went.
        deleted: usize,
    },
}

/// What only a reload brings about.
#[derive(Clone, Debug, Eq, Error, Ord, PartialEq, PartialOrd)]
pub enum NeedsReload {
    /// HAProxy did not read this file when it started.
    #[error("HAProxy does not know {0}; it reads it at the next reload")]
    Unknown(FilePath),
    /// A line that has something in it that the runtime socket cannot take.
    #[error("{file}: {line:?} cannot be said on the runtime socket; it counts after the next reload")]
    Line {
        /// The file.
        file: FilePath,
        /// How the line begins.
        line: String,
    },
    /// Another certificate is to be for clients that ask for no known name.
    #[error(
        "{list}: `{now}` stays for clients that ask for no known name until the next reload, \
         which puts `{wanted}` in its place"
    )]
    First {
        /// The list.
        list: FilePath,
        /// The first line in HAProxy.
        now: String,
        /// The first one in the file.
        wanted: String,
    },
    /// A certificate that HAProxy's buffer has no room for.
    #[error(
        "{certificate} has {bytes} bytes, the runtime socket takes {limit}; it is served after the next reload"
    )]
    TooLong {
        /// Which.
        certificate: FilePath,
        /// Its length.
        bytes: usize,
        /// What fits.
        limit: usize,
    },
    /// HAProxy did not do what it was told, or holds something else though it did.
    #[error("{file}: HAProxy holds something else than the file ({said}); a reload makes it read the file")]
    Refused {
        /// The file.
        file: FilePath,
        /// What it said.
        said: String,
    },
}

/// What a reload would not bring about either: something else has to be done first.
#[derive(Clone, Debug, Eq, Error, Ord, PartialEq, PartialOrd)]
pub enum Trouble {
    /// A certificate that HAProxy refuses.
    #[error("{certificate}: HAProxy refuses it ({said}); mend the file, a reload would fail too")]
    Bad {
        /// Which.
        certificate: FilePath,
        /// What it said.
        said: String,
    },
    /// A list names a certificate that HAProxy does not have and whose file was not given.
    #[error("{0}: there is no certificate to give to HAProxy; write the file, a reload would fail too")]
    NoCertificate(FilePath),
    /// Somebody else is changing a certificate, and HAProxy takes one at a time.
    #[error(
        "{0}: somebody is changing it; certificates wait until `commit ssl cert` or `abort ssl cert` ends that"
    )]
    Transaction(String),
}

/// Why an answer tells nothing of what HAProxy holds.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Unread {
    /// It has no such file.
    #[error("HAProxy does not know the file")]
    Unknown,
    /// Anything else.
    #[error("HAProxy answered {0:?}, which is not what was asked for; check the level of the `stats socket`")]
    Other(String),
}

impl Unread {
    fn other(text: &str) -> Self {
        Self::Other(shown(text))
    }
}

fn shown(text: &str) -> String {
    text.trim().chars().take(SHOWN).collect()
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map { map, added, set, deleted } => {
                write!(f, "map {map}: {added} added, {set} changed, {deleted} removed")
            }
            Self::Swapped { map, entries } => write!(f, "map {map}: replaced by {entries} entries at once"),
            Self::Certificate { certificate, fingerprint, new: true } => {
                write!(f, "certificate {certificate}: loaded, fingerprint {fingerprint}")
            }
            Self::Certificate { certificate, fingerprint, new: false } => {
                write!(f, "certificate {certificate}: replaced, fingerprint {fingerprint}")
            }
            Self::Forgotten(certificate) => write!(f, "certificate {certificate}: forgotten"),
            Self::CrtList { list, added, deleted } => {
                write!(f, "crt-list {list}: {added} added, {deleted} removed")
            }
        }
    }
}

#[cfg(test)]
mod tests;
