//! Brings a running HAProxy to the maps, crt-lists and certificates that its files name, without a reload.
//!
//! HAProxy is asked what it has, told the difference, and asked again. All of it counts for one process: if another one
//! answers meanwhile, what was done so far is void and the next call begins anew.
//!
//! Invariants:
//! - Where HAProxy has what is wanted it only gets questions.
//! - What HAProxy refuses of one file keeps nothing back of the others.
//! - One certificate is changed at a time, and no transaction of ours stays open: 2.6 would put the next certificate's
//!   text into it (measured).
//! - Certificates come before the lists that name them, and lines that are added before those that go.

mod certificates;
mod lists;
mod maps;
mod talk;

use std::collections::{BTreeMap, BTreeSet};

use roster_haproxy::live::{Change, First, NeedsReload, Pem, Trouble, Unread};
use roster_haproxy::render::{FileKind, FilePath, RenderedFile};
use thiserror::Error;

use self::talk::Talk;
use crate::runtime::session::{Limits, SessionError};
use crate::runtime::socket::SocketAddress;

/// What a running HAProxy is to hold.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'w> {
    /// The files beside its own.
    pub files: &'w [RenderedFile],
    /// What stands in the certificates that the lists name.
    pub certificates: &'w BTreeMap<FilePath, Pem>,
    /// The lists of which every bind has `strict-sni`, so that none of their certificates is the default one.
    pub strict: &'w BTreeSet<FilePath>,
}

/// What came of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Brought {
    /// What was changed, in words.
    pub changed: Vec<String>,
    /// What is left to a reload.
    pub left: Vec<NeedsReload>,
    /// What a reload would not bring about either.
    pub troubles: Vec<Trouble>,
}

/// Why nothing can be said of what HAProxy holds. What was changed until then stays changed; calling again goes on.
#[derive(Debug, Error)]
pub enum LiveError {
    /// It could not be spoken to, or another process answered.
    #[error("maps and certificates were not brought to the running HAProxy; it is tried again")]
    Session(#[from] SessionError),
    /// An answer that cannot be read.
    #[error("`{command}`: {source}")]
    Unread {
        /// What was asked.
        command: String,
        /// What came.
        source: Unread,
    },
}

/// Brings a running HAProxy to these files and certificates; the first certificate of each list is the default one.
pub async fn bring(
    socket: &SocketAddress,
    limits: &Limits,
    files: &[RenderedFile],
    certificates: &BTreeMap<FilePath, Pem>,
) -> Result<Brought, LiveError> {
    bring_to(socket, limits, Wanted { files, certificates, strict: &BTreeSet::new() }).await
}

/// Brings a running HAProxy to what is wanted.
pub async fn bring_to(
    socket: &SocketAddress,
    limits: &Limits,
    wanted: Wanted<'_>,
) -> Result<Brought, LiveError> {
    let mut bringing = Bringing { talk: Talk::new(socket, limits), wanted, brought: Brought::default() };
    let held = bringing.certificates(limits.line).await?;
    bringing.lists(held).await?;
    bringing.maps().await?;
    Ok(bringing.brought)
}

/// One call under way.
struct Bringing<'b> {
    talk: Talk<'b>,
    wanted: Wanted<'b>,
    brought: Brought,
}

impl<'b> Bringing<'b> {
    fn files(&self, kind: FileKind) -> Vec<&'b RenderedFile> {
        self.wanted.files.iter().filter(|file| file.kind == kind).collect()
    }

    fn first(&self, list: &FilePath) -> First {
        if self.wanted.strict.contains(list) { First::Any } else { First::Default }
    }

    fn changed(&mut self, change: &Change) {
        self.brought.changed.push(change.to_string());
    }

    /// Tells that a file is not as it should be, and what HAProxy said.
    fn refused(&mut self, file: &FilePath, said: Option<String>) {
        let said = said.unwrap_or_else(|| "it took every command".to_owned());
        self.brought.left.push(NeedsReload::Refused { file: file.clone(), said });
    }
}
