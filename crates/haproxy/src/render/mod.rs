//! HAProxy's file as text, made of what is wanted.
//!
//! Invariants:
//! - Equal documents give equal bytes.
//! - Nothing in a section of ours can add a line, a word or a section: each value is of a type that only holds what
//!   HAProxy reads as one word, and a [`RawLine`] has been judged word by word.
//! - The operator's own text is written as it is, and marked.
//! - What would make HAProxy refuse the whole file though only one service is wrong is left out and told
//!   ([`LeftOut`]); what is wrong in the operator's own text is an error, since only the operator can mend it.
//!
//! The order of the file: `global`, one `defaults`, our sections, the operator's sections. Ours come first because a
//! section follows the last `defaults` before it, and the operator's own may have more of them; to name the one with
//! `from` makes 2.6 complain of every section that does not. The one `defaults` has a name ([`DEFAULTS`]), which
//! `add backend` of HAProxy 3.4 needs. Each of our pools has its own `load-server-state-from-file`, so that it counts
//! whatever the operator's `defaults` say and changes nothing for the operator's own backends.
//!
//! From 3.4 on the profiles follow at the very end, where no section follows them. They build on a copy of the one
//! `defaults`: HAProxy warns of a section that is both named with `from` and used without being named.

mod balance;
mod bind;
mod left_out;
pub(crate) mod line;
mod lost;
mod ports;
mod profile;
mod proxy;
mod route;
mod structure;
mod user;
mod value;
mod write;

use std::fmt;

pub use balance::{Balance, Mode};
pub use bind::{Bind, BindAddress, BindTls, TlsVersion};
pub use left_out::LeftOut;
pub use line::{InvalidLine, MAX_LINE, Malformed, Place, RawLine};
pub use ports::{Families, Port, share_ports};
pub use profile::{LiveBackend, Profile};
pub use proxy::{
    Backend, CheckMethod, Frontend, HttpCheck, Listen, Pool, Section, SectionKey, ServerLine, StatusRange,
};
pub use route::{CrtEntry, CrtList, MapFile, Route, RouteKey, Routing, SniFilter};
pub use structure::{ReloadReason, Structure};
use thiserror::Error;
pub use user::{Ours, UserPart, UserText};
pub use value::{
    BindName, FieldName, FilePath, FrontendName, InvalidValue, PathPrefix, ProfileName, RequestPath,
};
pub(crate) use write::backend_text;
pub use write::server_text;

use crate::version::Version;

/// The name of the `defaults` section that holds for our sections.
pub const DEFAULTS: &str = "roster";

/// All that HAProxy's files are made of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    /// The operator's own text.
    pub user: UserText,
    /// What Roster itself needs.
    pub ours: Ours,
    /// Our sections. Where two cannot both stand, the one that comes first does.
    pub sections: Vec<Section>,
    /// The lists of certificates that binds name.
    pub crt_lists: Vec<CrtList>,
    /// What backends may be made of later, while HAProxy runs. Only those that a `defaults` section can hold are written,
    /// and only from HAProxy 3.4 on.
    pub profiles: Vec<Profile>,
    /// What was taken from the sections before, and why. It is told with the rest that is left out.
    pub left_out: Vec<LeftOut>,
}

/// HAProxy's files as text.
#[derive(Clone, Eq, PartialEq)]
pub struct Rendered {
    /// The text of haproxy.cfg.
    pub config: String,
    /// The files that it names, by path: maps and crt-lists. HAProxy does not start without one of them.
    pub files: Vec<RenderedFile>,
    /// What of all this only comes by a reload.
    pub structure: Structure,
    /// What is not in it, and why.
    pub left_out: Vec<LeftOut>,
    /// Where in `config` each section of ours begins.
    marks: Vec<(usize, Option<SectionKey>)>,
    /// Where in `config` the profiles begin; at its end if there are none.
    profiles_from: usize,
}

/// A file beside haproxy.cfg.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RenderedFile {
    /// Where HAProxy looks for it.
    pub path: FilePath,
    /// What it is.
    pub kind: FileKind,
    /// What stands in it.
    pub text: String,
}

/// What a file beside haproxy.cfg is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileKind {
    /// Keys and values.
    Map,
    /// Certificates and names.
    CrtList,
}

/// What is wrong with a document so that there is no file.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum RenderError {
    /// A section begins where only its inside can stand.
    #[error(
        "line {line} of `{part}` begins a section with {word:?}; write it under `sections`, or leave that word out"
    )]
    SectionInside {
        /// The part.
        part: UserPart,
        /// The line in it, from 1.
        line: usize,
        /// The word.
        word: String,
    },
    /// A line that belongs to no section.
    #[error(
        "line {line} of `sections` begins with {word:?}, which is no section; begin with frontend, listen or the like"
    )]
    NoSection {
        /// The line in it, from 1.
        line: usize,
        /// The word.
        word: String,
    },
    /// HAProxy would leave for the background.
    #[error(
        "line {line} of `global` is `daemon`; take it out: Roster starts HAProxy itself and follows its process"
    )]
    Daemon {
        /// The line in it, from 1.
        line: usize,
    },
    /// A second socket would take the place of ours, silently.
    #[error(
        "line {line} of `global` has a stats socket at {path}, where Roster puts its own; give it another path"
    )]
    OurSocket {
        /// The line in it, from 1.
        line: usize,
        /// The path.
        path: FilePath,
    },
    /// Of two such lines HAProxy goes by one.
    #[error("line {line} of `global` is `{keyword}`, which Roster writes itself; take it out")]
    OurKeyword {
        /// The line in it, from 1.
        line: usize,
        /// The keyword.
        keyword: &'static str,
    },
    /// Two files at one path.
    #[error("{path} would be two files; give each map and crt-list a path of its own")]
    FileTwice {
        /// The path.
        path: FilePath,
    },
}

impl Document {
    /// The sections whose stick-tables start empty after a reload, since no peers section hands them on.
    pub fn tables_lost(&self) -> Vec<String> {
        lost::stick_tables(self)
    }
}

/// Writes the files for such a HAProxy, or tells everything that is wrong at once.
pub fn render(document: &Document, version: Version) -> Result<Rendered, Vec<RenderError>> {
    let mut errors = Vec::new();
    document.user.check(&document.ours, &mut errors);
    let mut rendered = write::write(document, version);
    rendered.files.sort_by(|a, b| a.path.cmp(&b.path));
    for (one, next) in rendered.files.iter().zip(rendered.files.iter().skip(1)) {
        if one.path == next.path {
            errors.push(RenderError::FileTwice { path: one.path.clone() });
        }
    }
    if errors.is_empty() { Ok(rendered) } else { Err(errors) }
}

impl Rendered {
    /// The section of ours that a line of `config` is in, counted from 1 as HAProxy does when it complains of one.
    pub fn section_at(&self, line: usize) -> Option<&SectionKey> {
        let start = self.start_of(line)?;
        let after = self.marks.partition_point(|(mark, _)| *mark <= start);
        self.marks.get(after.checked_sub(1)?)?.1.as_ref()
    }

    /// The section of ours whose `bind` a line of `config` is, and where that is.
    pub fn bind_at(&self, line: usize) -> Option<(&SectionKey, BindAddress)> {
        let text = self.config.get(self.start_of(line)?..)?.lines().next()?;
        let at = text.trim_start().strip_prefix("bind ")?.split(' ').next()?;
        Some((self.section_at(line)?, at.parse().ok()?))
    }

    /// Whether a line of `config` is among the profiles. If HAProxy complains of one, the file stands without them all:
    /// new backends then come by a reload.
    pub fn is_profile_at(&self, line: usize) -> bool {
        self.start_of(line).is_some_and(|start| start >= self.profiles_from)
    }

    /// Where a line begins.
    fn start_of(&self, line: usize) -> Option<usize> {
        match line {
            0 => None,
            1 => Some(0),
            _ => Some(memchr::memchr_iter(b'\n', self.config.as_bytes()).nth(line - 2)? + 1),
        }
    }
}

/// Only its size: there may be passwords in it.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = format!("{} bytes", self.config.len());
        let mut debug = f.debug_struct("Rendered");
        debug.field("config", &config).field("files", &self.files).field("left_out", &self.left_out);
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
