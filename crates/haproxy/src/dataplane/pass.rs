//! One pass: many operations on servers, and one write that carries them out.
//!
//! A call costs 0.1 s however many servers it is about (measured), so all operations of a pass go into one. Several on one
//! server come to its last state in the file, while the process is told each of them in their order.

mod book;

use std::collections::{BTreeSet, HashMap};

use thiserror::Error;

use self::book::Book;
use super::edit::{Edit, EditError, ServerChange, WeightChange, apply};
use super::live::{LiveWrite, Process, ReloadWrite};
use super::view::{BackendView, FileView, ServerView};
use crate::change::ServerOperation;
use crate::cli::ServerPath;
use crate::name::BackendName;
use crate::observed::State;
use crate::render::ServerLine;
use crate::version::Version;

/// What a pass needs to know besides its operations.
#[derive(Clone, Copy, Debug)]
pub struct PassContext<'a> {
    /// HAProxy's version.
    pub version: Version,
    /// What the process shows.
    pub process: &'a Process,
    /// What else of the file is to change: backends, routes, checks. They come before the operations.
    pub edits: &'a [Edit],
    /// Whether servers can be added live.
    pub posts: Posts,
    /// Whether a server can be told to be ready in the same call that gives it its address.
    ///
    /// From 2.9 on HAProxy answers to a new address before it has it (measured), so that a server could be ready at its old
    /// one. False keeps what follows an address of a server for the next pass; [`settles`](Self::settles) tells.
    pub ready_with_address: bool,
}

/// Whether the API can add servers live, by a `POST` of each behind the write (API 3.2, where no `default-server`
/// applies). Such a server is in maintenance, without a cookie and with its checks off.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Posts {
    /// It cannot.
    #[default]
    No,
    /// It can, but nobody can switch on the checks of what was added: only servers without checks are added so.
    Unchecked,
    /// It can, and checks can be switched on in another way.
    All,
}

/// What a pass comes to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PassWrite {
    /// What is written; none if there is nothing to write.
    pub write: Option<Write>,
    /// What is added live, one by one, after the write.
    pub posts: Vec<Post>,
    /// The operations that are not in it, each by its place.
    pub left: Vec<Left>,
    /// The edits of the context that cannot be made, each by its place.
    pub refused: Vec<(usize, EditError)>,
}

/// One call that writes the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Write {
    /// Without a reload.
    Live(LiveWrite),
    /// With one.
    Reload(ReloadWrite),
}

/// A server that is added live.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Post {
    /// The operation, by its place.
    pub operation: usize,
    /// The backend.
    pub backend: BackendName,
    /// The server.
    pub server: ServerLine,
}

/// An operation that a write does not carry out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Left {
    /// Its place among the operations.
    pub operation: usize,
    /// Why.
    pub why: Why,
}

/// Why a write does not carry an operation out.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Why {
    /// The API has no word for it.
    #[error(
        "the Data Plane API cannot do this; use bring_up: probe or registry, or give Roster the runtime socket too"
    )]
    NoSuchCall,
    /// The server has no line that could be removed.
    #[error("the server comes from a server-template and has no line; write its servers out")]
    OfTemplate,
    /// It has to wait until something before it is seen to be done.
    #[error("it waits until {0} is seen in HAProxy; the next pass does it")]
    Waits(&'static str),
    /// The file cannot be changed so.
    #[error(transparent)]
    Edit(#[from] EditError),
}

impl PassContext<'_> {
    /// Whether a HAProxy has a new address before it answers: up to 2.8 (measured on 2.6).
    pub fn settles(version: Version) -> bool {
        version < Version::new(2, 9, 0)
    }
}

impl Write {
    /// The whole text to write.
    pub fn text(&self) -> &str {
        match self {
            Self::Live(write) => write.text(),
            Self::Reload(write) => write.text(),
        }
    }
}

/// Puts the operations of a pass into one write.
pub fn write<O: ServerOperation>(before: &str, operations: &[O], context: &PassContext<'_>) -> PassWrite {
    let was = FileView::read(before);
    if context.edits.is_empty() {
        return servers(before, &was, &was, &[], operations, context);
    }
    let (edits, base, refused) = structural(before, context);
    let mut pass = servers(before, &was, &FileView::read(&base), &edits, operations, context);
    pass.refused = refused;
    pass
}

/// The edits of the context that can be made, and the text with them.
fn structural(before: &str, context: &PassContext<'_>) -> (Vec<Edit>, String, Vec<(usize, EditError)>) {
    let (mut edits, mut text, mut refused) = (Vec::new(), before.to_owned(), Vec::new());
    if let Ok(all) = apply(before, context.edits, context.version) {
        return (context.edits.to_vec(), all, refused);
    }
    // One that cannot be made must not keep the others from it.
    for (place, edit) in context.edits.iter().enumerate() {
        match apply(&text, std::slice::from_ref(edit), context.version) {
            Ok(next) => {
                text = next;
                edits.push(edit.clone());
            }
            Err(error) => refused.push((place, error)),
        }
    }
    (edits, text, refused)
}

/// `view` is of the text with the edits.
fn servers<O: ServerOperation>(
    before: &str,
    was: &FileView<'_>,
    view: &FileView<'_>,
    edits: &[Edit],
    operations: &[O],
    context: &PassContext<'_>,
) -> PassWrite {
    let book = |reloads: bool| {
        let mut book = Book::new(view, was, context, reloads);
        operations.iter().enumerate().for_each(|(place, operation)| book.enter(place, operation));
        book
    };
    let failed = |error: EditError| {
        let left = |operation| Left { operation, why: Why::Edit(error.clone()) };
        PassWrite { left: (0..operations.len()).map(left).collect(), ..PassWrite::default() }
    };
    let live = book(false);
    let reasons = match live.live(before, edits) {
        Ok(Ok(write)) => return live.done((!write.is_empty()).then_some(Write::Live(write))),
        Ok(Err(reasons)) => reasons,
        Err(error) => return failed(error),
    };
    let reload = book(true);
    match reload.reload(before, edits, reasons) {
        Ok(write) => reload.done(write.map(Write::Reload)),
        Err(error) => failed(error),
    }
}

/// The edits that let the file say of these servers what the process shows, as far as it can be read. A server whose
/// address is not an IP address with a port in the file keeps that.
///
/// Each of them is covered by the process itself, so that they need no action and no reload.
pub fn as_it_runs(view: &FileView<'_>, process: &Process, servers: &BTreeSet<ServerPath>) -> Vec<Edit> {
    let backends: HashMap<&str, &BackendView<'_>> =
        view.backends.iter().map(|backend| (backend.name.as_ref(), backend)).collect();
    let mut lines: HashMap<(&str, &str), &ServerView<'_>> = HashMap::new();
    for (name, backend) in &backends {
        lines.extend(backend.servers.iter().map(|server| ((*name, server.name.as_ref()), server)));
    }
    let edit = |path: &ServerPath| {
        let there = lines.get(&(path.backend.as_str(), path.server.as_str()))?;
        let shown = process.get(&path.backend)?.get(&path.server)?;
        let change = ServerChange {
            endpoint: there.endpoint.and(shown.endpoint).filter(|endpoint| there.endpoint != Some(*endpoint)),
            weight: match shown.weight {
                Some(weight) if weight != there.start_weight() => WeightChange::Set(weight),
                _ => WeightChange::Keep,
            },
            disabled: Some(shown.state != State::Ready).filter(|disabled| *disabled != there.disabled),
            check_port: None,
        };
        let (backend, server) = (path.backend.clone(), path.server.clone());
        (change != ServerChange::default()).then_some(Edit::Server { backend, server, change })
    };
    servers.iter().filter_map(edit).collect()
}
