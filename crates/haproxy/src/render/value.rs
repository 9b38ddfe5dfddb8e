//! Words that can stand in haproxy.cfg, a map or a crt-list as they are, unquoted.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text cannot stand in HAProxy's files.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidValue {
    /// A character that would be read as something else, or none at all.
    #[error("{what} {given:?} is not usable; {allowed} are allowed, at most {longest}")]
    Text {
        /// The kind of value, as a person says it.
        what: &'static str,
        /// How the text begins.
        given: String,
        /// What may stand in it.
        allowed: &'static str,
        /// How many bytes it may have.
        longest: usize,
    },
    /// Not from the root.
    #[error("{what} {given:?} must begin with /")]
    Relative {
        /// The kind of value, as a person says it.
        what: &'static str,
        /// How the text begins.
        given: String,
    },
    /// Not an address to listen on.
    #[error("{0:?} is no address to listen on; write *:80, 10.0.0.1:80, [::]:80, /run/web.sock or fd@3")]
    Bind(String),
    /// Not a balance algorithm that Roster writes.
    #[error(
        "{0:?} is no balance algorithm that Roster knows; take roundrobin, static-rr, leastconn, first, source, uri, \
         random, hdr(NAME), url_param NAME or rdp-cookie(NAME)"
    )]
    Balance(String),
    /// Not a mode.
    #[error("{0:?} is no mode; write http or tcp")]
    Mode(String),
    /// Not a range of status codes.
    #[error("{0} to {1} is no range of status codes; give numbers from 100 to 599, the smaller one first")]
    Status(u16, u16),
}

/// How much of a wrong text an error repeats.
pub(super) fn shown(given: &str) -> String {
    given.chars().take(64).collect()
}

macro_rules! word {
    ($(#[$doc:meta])* $name:ident, $what:literal, $longest:literal, $allowed:literal, $punctuation:literal, $from_root:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "CompactString", into = "CompactString")]
        pub struct $name(CompactString);

        impl $name {
            /// Takes the text if every character of it is allowed.
            pub fn new(given: &str) -> Result<Self, InvalidValue> {
                let allowed = |c: char| c.is_ascii_alphanumeric() || $punctuation.contains(c);
                if given.is_empty() || given.len() > $longest || !given.chars().all(allowed) {
                    let (what, allowed, longest) = ($what, $allowed, $longest);
                    return Err(InvalidValue::Text { what, given: shown(given), allowed, longest });
                }
                if $from_root && !given.starts_with('/') {
                    return Err(InvalidValue::Relative { what: $what, given: shown(given) });
                }
                Ok(Self(given.into()))
            }

            /// The text as it was given.
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
            type Err = InvalidValue;
            fn from_str(given: &str) -> Result<Self, InvalidValue> {
                Self::new(given)
            }
        }

        impl TryFrom<CompactString> for $name {
            type Error = InvalidValue;
            fn try_from(given: CompactString) -> Result<Self, InvalidValue> {
                Self::new(&given)
            }
        }

        impl From<$name> for CompactString {
            fn from(value: $name) -> CompactString {
                value.0
            }
        }
    };
}

word! {
    /// A frontend's name: `[A-Za-z0-9_.:-]+`.
    FrontendName, "frontend name", 128, "letters, digits and _ . : -", "_.:-", false
}
word! {
    /// The name of one `bind`, as `show stat` tells it: `[A-Za-z0-9_.:-]+`.
    BindName, "bind name", 128, "letters, digits and _ . : -", "_.:-", false
}
word! {
    /// The name of a cookie, header or parameter: `[A-Za-z0-9_-]+`. What else RFC 9110 allows means something to HAProxy.
    FieldName, "name of a cookie, header or parameter", 128, "letters, digits and _ -", "_-", false
}
word! {
    /// The absolute path of a file or socket: `/` and `[A-Za-z0-9/._@+-]*`.
    FilePath, "path", 512, "letters, digits and / . _ @ + -", "/._@+-", true
}
word! {
    /// How the path of a request begins, `/api`. Also taken on the runtime socket as it is.
    PathPrefix, "path prefix", 512, "letters, digits and / . _ - ~ % + , = : @", "/._-~%+,=:@", true
}
word! {
    /// The path of a request of ours, with its query.
    RequestPath, "path of a request", 1024, "letters, digits and / . _ - ~ % + , = : @ ? & ;", "/._-~%+,=:@?&;", true
}
word! {
    /// The name of a profile's `defaults` section: `[A-Za-z0-9-]+`.
    ProfileName, "profile name", 64, "letters, digits and -", "-", false
}
