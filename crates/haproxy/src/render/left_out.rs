//! What is left out of a file because it would make HAProxy refuse the whole of it.

use thiserror::Error;

use super::proxy::SectionKey;
use super::route::Route;
use crate::name::ServerName;
use crate::weight::ServerId;

/// Something that is not in the file, and why. The rest of the file stands without it: one wrong service must not keep
/// the others from being served. What comes first in the document goes first.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum LeftOut {
    /// A section with the name of another one that would be found by it, `defaults roster` among them from 3.3 on.
    #[error("{0} is left out: a section before it has the same name; rename one of the services")]
    Section(SectionKey),
    /// A section with the name of one of the operator's own.
    #[error(
        "{0} is left out: `sections` has a section of that name, which is left alone; rename that section, or give the \
         service another `backend`"
    )]
    OperatorsName(SectionKey),
    /// A bind to where another section listens.
    #[error("{section} does not listen on {bind}: {} does; give one of them another port", listener(.by.as_ref()))]
    Bind {
        /// The section that wanted it.
        section: SectionKey,
        /// What it wanted.
        bind: String,
        /// The section that has it; none where it is one of the operator's own.
        by: Option<SectionKey>,
    },
    /// A bind to where nobody can listen now.
    #[error("a bind of {section} is left out: {why}")]
    Unbound {
        /// The section that wanted it.
        section: SectionKey,
        /// Why not, and what to do.
        why: String,
    },
    /// A line for another kind of section.
    #[error("a line is left out of {section}: it was checked for a {place} section", place = .for_place)]
    Line {
        /// The section.
        section: SectionKey,
        /// What it was checked for.
        for_place: super::Place,
    },
    /// A server with the name of another one.
    #[error("server {server} is left out of {section}: one before it has the same name")]
    ServerName {
        /// The section.
        section: SectionKey,
        /// The server.
        server: ServerName,
    },
    /// A server with the id of another one.
    #[error("server {server} is left out of {section}: one before it has the same id {id}")]
    ServerId {
        /// The section.
        section: SectionKey,
        /// The server.
        server: ServerName,
        /// The id.
        id: ServerId,
    },
    /// `init-state`, which this HAProxy does not know.
    #[error("init-state is left out of {section}: HAProxy knows it from 3.1 on; servers there start as up")]
    InitState {
        /// The section.
        section: SectionKey,
    },
    /// A second route for the same requests.
    #[error("requests for {} do not go to {} in {section}: a route before it takes them", .route.of, .route.to)]
    Route {
        /// The frontend.
        section: SectionKey,
        /// The route.
        route: Route,
    },
}

fn listener(by: Option<&SectionKey>) -> String {
    by.map_or_else(|| "one of the operator's own sections".to_owned(), ToString::to_string)
}
