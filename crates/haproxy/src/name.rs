//! Names that HAProxy, the operator and the logs can all take as they are.
//!
//! Each type here can only be made from text that is safe on a line of HAProxy's CLI and in its configuration:
//! `;`, newline, NUL, space, quotes, `#`, `$`, backslash and a trailing `<<` all end or change a command there
//! (management manual, section 9.3), so none of them can be inside a name that was once made.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::address::Endpoint;

/// The longest name Roster takes, in bytes. HAProxy itself has no fixed limit; this one keeps a line of ten
/// commands far below its buffer and a log line readable.
pub const MAX_NAME: usize = 128;

/// The longest [`InstanceId`], in bytes. HAProxy never sees one, and that of a virtual machine of a scale set in Azure has
/// some 300 where its resource group has a long name.
pub const MAX_INSTANCE_ID: usize = 512;

/// Why a text cannot be a name.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidName {
    /// No text at all.
    #[error("{what} is empty; give it at least one of the letters, digits and {extra}")]
    Empty {
        /// The kind of name, as a person says it.
        what: &'static str,
        /// What is allowed besides letters and digits.
        extra: &'static str,
    },
    /// A character that would be read as something else.
    #[error("{what} {given:?} has {found:?} at byte {at}; letters, digits and {extra} are allowed")]
    Character {
        /// The kind of name, as a person says it.
        what: &'static str,
        /// The text as it was given.
        given: String,
        /// The first character that is not allowed.
        found: char,
        /// Where it stands.
        at: usize,
        /// What is allowed besides letters and digits.
        extra: &'static str,
    },
    /// A dot at the beginning of a name that files and folders are named after: `.` and `..` are other folders.
    #[error("{what} {given:?} begins with a dot; begin it with a letter, a digit, _ or -")]
    Dot {
        /// The kind of name, as a person says it.
        what: &'static str,
        /// The text as it was given.
        given: String,
    },
    /// More than [`MAX_NAME`] bytes, or [`MAX_INSTANCE_ID`].
    #[error("{what} {given:?} has {length} bytes; {most} are allowed")]
    TooLong {
        /// The kind of name, as a person says it.
        what: &'static str,
        /// How the text begins.
        given: String,
        /// How long it is.
        length: usize,
        /// How long it may be.
        most: usize,
    },
}

/// What a kind of name may be.
struct Kind {
    /// The kind of name, as a person says it.
    what: &'static str,
    /// What is allowed besides letters and digits, in words.
    extra: &'static str,
    /// The same as characters.
    punctuation: &'static [char],
    /// The most bytes.
    most: usize,
    /// Whether files or folders are named after it, so that it must not mean another folder.
    names_files: bool,
}

impl Kind {
    fn check(&self, given: &str) -> Result<(), InvalidName> {
        let Self { what, extra, punctuation, most, names_files } = *self;
        if given.is_empty() {
            return Err(InvalidName::Empty { what, extra });
        }
        let wrong = |c: char| !(c.is_ascii_alphanumeric() || punctuation.contains(&c));
        if let Some((at, found)) = given.char_indices().find(|(_, c)| wrong(*c)) {
            let given = given.chars().take(MAX_NAME).collect();
            return Err(InvalidName::Character { what, given, found, at, extra });
        }
        if given.len() > most {
            let length = given.len();
            return Err(InvalidName::TooLong { what, given: given.chars().take(32).collect(), length, most });
        }
        if names_files && given.starts_with('.') {
            return Err(InvalidName::Dot { what, given: given.to_owned() });
        }
        Ok(())
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "CompactString", into = "CompactString")]
        pub struct $name(CompactString);

        impl $name {
            const KIND: Kind = $kind;

            /// Takes the text if every character of it is allowed.
            pub fn new(given: &str) -> Result<Self, InvalidName> {
                Self::KIND.check(given)?;
                Ok(Self(given.into()))
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(given: &str) -> Result<Self, InvalidName> {
                Self::new(given)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(given: String) -> Result<Self, InvalidName> {
                Self::new(&given)
            }
        }

        impl TryFrom<CompactString> for $name {
            type Error = InvalidName;
            fn try_from(given: CompactString) -> Result<Self, InvalidName> {
                Self::KIND.check(&given)?;
                Ok(Self(given))
            }
        }

        impl From<$name> for CompactString {
            fn from(name: $name) -> CompactString {
                name.0
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.into()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// A backend's name as HAProxy takes it: `[A-Za-z0-9_.:-]+`.
    BackendName,
    Kind { what: "backend name", extra: "_ . : -", punctuation: &['_', '.', ':', '-'], most: MAX_NAME, names_files: false }
}
name! {
    /// A server's name as HAProxy takes it on one line of its CLI: `[A-Za-z0-9_.:-]+`.
    ServerName,
    Kind { what: "server name", extra: "_ . : -", punctuation: &['_', '.', ':', '-'], most: MAX_NAME, names_files: false }
}
name! {
    /// A service's name, from a registry or a file.
    ServiceName,
    Kind { what: "service name", extra: "_ . : - / @", punctuation: &['_', '.', ':', '-', '/', '@'], most: MAX_NAME, names_files: false }
}
name! {
    /// The name that the configuration gives to a source; files are named after it.
    SourceName,
    Kind { what: "source name", extra: "_ . -", punctuation: &['_', '.', '-'], most: MAX_NAME, names_files: true }
}
name! {
    /// The name that the configuration gives to a target; folders are named after it.
    TargetName,
    Kind { what: "target name", extra: "_ . -", punctuation: &['_', '.', '-'], most: MAX_NAME, names_files: true }
}
name! {
    /// The value of a server's cookie. HAProxy checks nothing here, so the set is the one no client can mangle.
    CookieValue,
    Kind { what: "cookie", extra: "_ -", punctuation: &['_', '-'], most: MAX_NAME, names_files: false }
}
name! {
    /// What a registry calls one instance: an EC2 id, an allocation id, a pod name, an ARM resource path.
    InstanceId,
    Kind { what: "instance id", extra: "_ . : - / @ + = ~ [ ]", punctuation: &['_', '.', ':', '-', '/', '@', '+', '=', '~', '[', ']'], most: MAX_INSTANCE_ID, names_files: false }
}
name! {
    /// A zone, region or group as a registry spells it.
    Label,
    Kind { what: "label", extra: "_ . : - / @ +", punctuation: &['_', '.', ':', '-', '/', '@', '+'], most: MAX_NAME, names_files: false }
}

impl CookieValue {
    /// The cookie of a server: its name, with `-` for each `.` and `_` for each `:`, which clients may mangle.
    pub fn of(server: &ServerName) -> Option<Self> {
        Self::new(&server.as_str().replace('.', "-").replace(':', "_")).ok()
    }
}

impl InstanceId {
    /// The id of an instance that has none of its own: its address, `10.0.0.1:80` or `[fd00::1]:80`, all of whose
    /// characters an id may have.
    pub fn from_address(endpoint: Endpoint) -> Self {
        Self(format_compact!("{endpoint}"))
    }
}

/// One service of one source: the same name in two sources means two services.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct ServiceKey {
    /// The source that reported it.
    pub source: SourceName,
    /// Its name there.
    pub service: ServiceName,
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_called_after_its_address_has_a_cookie() {
        let cookie = |name: &str| CookieValue::of(&ServerName::new(name).unwrap()).unwrap();
        assert_eq!(cookie("srv1").as_str(), "srv1");
        assert_eq!(cookie("10.0.0.1:8080").as_str(), "10-0-0-1_8080");
        assert_eq!(cookie("fd00::1:8080").as_str(), "fd00__1_8080");
    }

    #[test]
    fn a_name_cannot_hold_what_ends_or_starts_a_command() {
        for hostile in [
            "a;b", "a\nb", "a\0b", "a b", "a<<", "a#", "a\"", "a'", "a\\", "a$X", "a\tb", "é", "[::1]",
            "a,b", "",
        ] {
            assert!(ServerName::new(hostile).is_err(), "{hostile:?} was taken");
            assert!(BackendName::new(hostile).is_err(), "{hostile:?} was taken");
        }
    }

    #[test]
    fn names_that_haproxy_takes_are_kept_as_they_are() {
        for fine in ["srv1", "10.0.0.1:8080", "fd00::1:8080", "web_a-b.c"] {
            assert_eq!(ServerName::new(fine).unwrap().as_str(), fine);
        }
    }

    #[test]
    fn an_error_tells_where_and_what_is_allowed() {
        let error = ServerName::new("web 1").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"server name "web 1" has ' ' at byte 3; letters, digits and _ . : - are allowed"#
        );
    }

    #[test]
    fn a_long_name_is_refused_and_the_error_stays_short() {
        let error = BackendName::new(&"b".repeat(10_000)).unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
    }

    #[test]
    fn a_source_or_target_cannot_be_named_as_another_folder() {
        for path in [".", "..", "...", "../x", "a/b", "/", ".hidden", "..\\x", "%2e%2e/", "a/.."] {
            assert!(SourceName::new(path).is_err(), "{path:?} was taken");
            assert!(TargetName::new(path).is_err(), "{path:?} was taken");
            let json = serde_json::to_string(path).unwrap();
            assert!(serde_json::from_str::<TargetName>(&json).is_err(), "{path:?} was read back");
        }
        for fine in ["a.b", "a..", "-", "_", "eu-1.prod"] {
            assert!(SourceName::new(fine).is_ok() && TargetName::new(fine).is_ok(), "{fine:?} was refused");
        }
        let error = TargetName::new("..").unwrap_err().to_string();
        assert_eq!(error, r#"target name ".." begins with a dot; begin it with a letter, a digit, _ or -"#);
    }

    #[test]
    fn a_hostile_name_is_refused_when_it_is_read_back_from_json() {
        assert!(serde_json::from_str::<ServerName>("\"a;b\"").is_err());
    }
}
