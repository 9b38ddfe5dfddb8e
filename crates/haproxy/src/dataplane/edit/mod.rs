//! Changes to a text that leave all of it alone but the lines they are about.

mod backend;
mod patch;
mod routes;
mod server;

use std::collections::HashSet;

use thiserror::Error;

pub(super) use self::backend::is_of_checks;
pub use self::backend::with_section;
use self::patch::Patches;
use super::mark::Mark;
use super::view::FileView;
use crate::address::{Endpoint, Port};
use crate::keywords::CheckKeywords;
use crate::name::{BackendName, CookieValue, ServerName, ServiceKey};
use crate::render::{Backend, FrontendName, HttpCheck, Route, ServerLine};
use crate::version::Version;
use crate::weight::Weight;

/// One change. Where the text already says it, nothing changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Edit {
    /// Change a server's line.
    Server {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: ServerName,
        /// What of it.
        change: ServerChange,
    },
    /// Let a server's line say this of what HAProxy cannot change while it runs.
    Shape {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: ServerName,
        /// What.
        shape: Box<ServerShape>,
    },
    /// Add a server behind the last one.
    AddServer {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: Box<ServerLine>,
    },
    /// Remove a server.
    RemoveServer {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: ServerName,
    },
    /// Add a backend at the end, or make one of ours this one. Its mark stands above it.
    PutBackend {
        /// For which service.
        mark: Mark,
        /// What it is to be.
        backend: Box<Backend>,
    },
    /// Let the mark stand above a backend that was made without one.
    Mark {
        /// For which service.
        mark: Mark,
        /// Which one.
        backend: BackendName,
    },
    /// Remove a backend of ours that is for this service.
    RemoveBackend {
        /// For which service.
        mark: Mark,
        /// Which one.
        backend: BackendName,
    },
    /// Let these be our routes in a frontend, and no others. Of two for the same requests the first stands.
    Routes {
        /// The frontend.
        frontend: FrontendName,
        /// The routes, in any order.
        routes: Vec<Route>,
    },
    /// Let a backend of ours ask this in its checks.
    Checks {
        /// The backend.
        backend: BackendName,
        /// What; nothing but a connection without it.
        check: Option<HttpCheck>,
    },
}

/// What changes on a server's line. Everything else on it stays.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerChange {
    /// Where it points.
    pub endpoint: Option<Endpoint>,
    /// What becomes of its weight.
    pub weight: WeightChange,
    /// Whether it starts in maintenance.
    pub disabled: Option<bool>,
    /// Where it is checked.
    pub check_port: Option<Port>,
}

/// What of a server's line cannot be changed live. What is none stays as it is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerShape {
    /// How it is checked.
    pub check: Option<CheckKeywords>,
    /// Its cookie.
    pub cookie: Option<CookieValue>,
}

/// What becomes of a weight.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WeightChange {
    /// Nothing.
    #[default]
    Keep,
    /// It is this one. Where the server starts with it anyway nothing is written.
    Set(Weight),
    /// The line has none.
    Remove,
}

/// Why a change cannot be made. Nothing of the text is changed then.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum EditError {
    /// No such backend.
    #[error("the file has no backend {0}; create it, or let Roster own it")]
    NoBackend(BackendName),
    /// No such server.
    #[error("backend {backend} has no server {server} in the file; look again at what it holds")]
    NoServer {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: ServerName,
    },
    /// Another server has the name.
    #[error("backend {backend} already has another server {server}; choose other names for the slots")]
    ServerExists {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: ServerName,
    },
    /// A name that stands there twice.
    #[error("backend {backend} has {name} twice; HAProxy takes one of them: remove the other")]
    Twice {
        /// The backend.
        backend: BackendName,
        /// The backend or server.
        name: String,
    },
    /// A server without a line of its own.
    #[error(
        "server {server} of backend {backend} comes from a server-template and has no line; write its servers out"
    )]
    OfTemplate {
        /// The backend.
        backend: BackendName,
        /// The server.
        server: ServerName,
    },
    /// A section that depends on conditions.
    #[error("section {0} stands in or has an .if; take that out, or let Roster leave it alone")]
    Conditional(String),
    /// A backend without a mark of ours, or of another service.
    #[error(
        "backend {backend} is not kept for {service}; rename one of them, or put `# Kept by Roster: service {service}` \
         on the line above it"
    )]
    NotOurs {
        /// The backend.
        backend: BackendName,
        /// The service.
        service: ServiceKey,
    },
    /// A backend without any mark of ours.
    #[error("backend {0} is not Roster's, so its checks are not changed")]
    NotMarked(BackendName),
    /// No such frontend.
    #[error("the file has no frontend {0}; create it, or correct the name in the routes")]
    NoFrontend(FrontendName),
    /// A frontend that sees no requests.
    #[error(
        "frontend {0} is not in mode http, so it cannot tell hosts and paths; set its mode, or take the routes out"
    )]
    NotHttp(FrontendName),
}

/// Makes the changes one after the other, for such a HAProxy. What stays is byte for byte the same.
pub fn apply(text: &str, edits: &[Edit], version: Version) -> Result<String, EditError> {
    let mut text = std::borrow::Cow::Borrowed(text);
    let mut rest = edits;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(independent(rest));
        let view = FileView::read(&text);
        let index = server::Index::new(&view);
        let mut patches = Patches::default();
        for edit in now {
            one(&text, &view, &index, edit, version, &mut patches)?;
        }
        if let Some(patched) = patches.apply(&text) {
            text = patched.into();
        }
        rest = later;
    }
    Ok(text.into_owned())
}

/// How many of the first edits touch different lines, so that all of them can go by one reading.
pub(super) fn independent(edits: &[Edit]) -> usize {
    let mut touched = Touched::default();
    edits.iter().take_while(|edit| touched.takes(edit)).count().max(1)
}

#[derive(Default)]
struct Touched<'e> {
    servers: HashSet<(&'e BackendName, &'e ServerName)>,
    /// Backends of which anything is touched.
    backends: HashSet<&'e BackendName>,
    /// Those that are touched as a whole.
    whole: HashSet<&'e BackendName>,
    frontends: HashSet<&'e FrontendName>,
}

impl<'e> Touched<'e> {
    /// Whether an edit touches what none before it did.
    fn takes(&mut self, edit: &'e Edit) -> bool {
        match edit {
            Edit::Server { backend, server, .. }
            | Edit::Shape { backend, server, .. }
            | Edit::RemoveServer { backend, server } => self.takes_server(backend, server),
            Edit::AddServer { backend, server } => self.takes_server(backend, &server.name),
            Edit::PutBackend { backend, .. } => self.takes_backend(&backend.name),
            Edit::Mark { backend, .. }
            | Edit::RemoveBackend { backend, .. }
            | Edit::Checks { backend, .. } => self.takes_backend(backend),
            Edit::Routes { frontend, .. } => self.frontends.insert(frontend),
        }
    }

    fn takes_server(&mut self, backend: &'e BackendName, server: &'e ServerName) -> bool {
        self.backends.insert(backend);
        !self.whole.contains(backend) && self.servers.insert((backend, server))
    }

    fn takes_backend(&mut self, backend: &'e BackendName) -> bool {
        self.whole.insert(backend) && self.backends.insert(backend)
    }
}

fn one<'t>(
    text: &'t str,
    view: &FileView<'t>,
    index: &server::Index<'_>,
    edit: &Edit,
    version: Version,
    patches: &mut Patches,
) -> Result<(), EditError> {
    match edit {
        Edit::Server { backend, server, change } => server::change(index, backend, server, *change, patches),
        Edit::Shape { backend, server, shape } => server::shape(index, backend, server, shape, patches),
        Edit::AddServer { backend, server } => server::add(text, index, backend, server, version, patches),
        Edit::RemoveServer { backend, server } => server::remove(index, backend, server, patches),
        Edit::PutBackend { mark, backend } => backend::put(text, view, mark, backend, version, patches),
        Edit::Mark { mark, backend } => backend::mark(view, mark, backend, patches),
        Edit::RemoveBackend { mark, backend } => backend::remove(view, mark, backend, patches),
        Edit::Checks { backend, check } => {
            backend::checks(text, view, backend, check.as_ref(), version, patches)
        }
        Edit::Routes { frontend, routes } => routes::set(text, view, frontend, routes, patches),
    }
}
