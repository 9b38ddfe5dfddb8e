//! The sections that Roster writes: frontends, backends and both in one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::balance::{Balance, Mode};
use super::bind::Bind;
use super::line::RawLine;
use super::route::Routing;
use super::value::{FieldName, FrontendName, InvalidValue, PathPrefix, RequestPath};
use crate::address::Endpoint;
use crate::keywords::HostName;
use crate::keywords::ServerKeywords;
use crate::name::{BackendName, ServerName};
use crate::weight::Weight;

/// A section of ours.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Section {
    /// `frontend`.
    Frontend(Frontend),
    /// `backend`.
    Backend(Backend),
    /// `listen`.
    Listen(Listen),
}

/// What tells one section of ours from the others.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SectionKey {
    /// A frontend.
    Frontend(FrontendName),
    /// A backend.
    Backend(BackendName),
    /// A listen section.
    Listen(BackendName),
}

/// Where clients come in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frontend {
    /// Its name.
    pub name: FrontendName,
    /// What it understands.
    pub mode: Mode,
    /// Where it listens.
    pub binds: Vec<Bind>,
    /// More lines; a `use_backend` among them comes before the routing.
    pub lines: Vec<RawLine>,
    /// Which backend by host and path; in http mode only.
    pub routing: Option<Routing>,
    /// Where the others go; without it they get a 503.
    pub default_backend: Option<BackendName>,
}

/// Where requests go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Backend {
    /// Its name.
    pub name: BackendName,
    /// What it understands.
    pub mode: Mode,
    /// Taken off the path before the server sees it: with `/api`, `/api/x` becomes `/x`. In http mode only.
    pub strip_prefix: Option<PathPrefix>,
    /// More lines.
    pub lines: Vec<RawLine>,
    /// Its servers.
    pub pool: Pool,
}

/// A frontend and its only backend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listen {
    /// Its name.
    pub name: BackendName,
    /// What it understands.
    pub mode: Mode,
    /// Where it listens.
    pub binds: Vec<Bind>,
    /// More lines.
    pub lines: Vec<RawLine>,
    /// Its servers.
    pub pool: Pool,
}

/// Servers and how one is chosen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Pool {
    /// How one is chosen.
    pub balance: Balance,
    /// The cookie that keeps a client at its server (`insert indirect nocache`); in http mode only.
    pub cookie: Option<FieldName>,
    /// What `check` on a server asks; without it a connection is enough.
    pub check: Option<HttpCheck>,
    /// The servers in their order. Each should have an id where the algorithm hashes.
    pub servers: Vec<ServerLine>,
}

/// A request as a health check (`option httpchk`, `http-check send`, `http-check expect`).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct HttpCheck {
    /// The method.
    pub method: CheckMethod,
    /// The path.
    pub path: RequestPath,
    /// The host that is asked for; with it HTTP/1.1 is spoken.
    pub host: Option<HostName>,
    /// The status codes that pass; without it 200 to 399.
    pub expect: Option<StatusRange>,
}

/// A method that changes nothing.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CheckMethod {
    /// `GET`.
    #[default]
    Get,
    /// `HEAD`.
    Head,
    /// `OPTIONS`.
    Options,
}

/// Status codes from one to another, both included.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "(u16, u16)", into = "(u16, u16)")]
pub struct StatusRange {
    from: u16,
    to: u16,
}

/// A server as it is to start with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerLine {
    /// Its name.
    pub name: ServerName,
    /// Its address; the parking address where the slot is free.
    pub at: Endpoint,
    /// Its settings, the id among them.
    pub keywords: ServerKeywords,
    /// The weight that it has now, if that is not the one of its settings.
    pub weight: Option<Weight>,
    /// Whether it is in maintenance.
    pub disabled: bool,
}

impl Section {
    /// What tells it from the others.
    pub fn key(&self) -> SectionKey {
        match self {
            Self::Frontend(frontend) => SectionKey::Frontend(frontend.name.clone()),
            Self::Backend(backend) => SectionKey::Backend(backend.name.clone()),
            Self::Listen(listen) => SectionKey::Listen(listen.name.clone()),
        }
    }

    /// Where it listens.
    pub fn binds(&self) -> &[Bind] {
        match self {
            Self::Frontend(frontend) => &frontend.binds,
            Self::Listen(listen) => &listen.binds,
            Self::Backend(_) => &[],
        }
    }

    /// The same to be changed; none where it never listens.
    pub fn binds_mut(&mut self) -> Option<&mut Vec<Bind>> {
        match self {
            Self::Frontend(frontend) => Some(&mut frontend.binds),
            Self::Listen(listen) => Some(&mut listen.binds),
            Self::Backend(_) => None,
        }
    }
}

impl SectionKey {
    /// HAProxy's word for this kind of section.
    pub fn keyword(&self) -> &'static str {
        match self {
            Self::Frontend(_) => "frontend",
            Self::Backend(_) => "backend",
            Self::Listen(_) => "listen",
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Frontend(name) => name.as_str(),
            Self::Backend(name) | Self::Listen(name) => name.as_str(),
        }
    }
}

/// As the section begins in the file.
impl fmt::Display for SectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keyword())?;
        f.write_str(" ")?;
        f.write_str(self.name())
    }
}

impl CheckMethod {
    /// The method as it is sent.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
        }
    }
}

impl StatusRange {
    /// Takes two numbers from 100 to 599, the smaller one first.
    pub fn new(from: u16, to: u16) -> Result<Self, InvalidValue> {
        if (100..=to).contains(&from) && to <= 599 {
            Ok(Self { from, to })
        } else {
            Err(InvalidValue::Status(from, to))
        }
    }
}

impl TryFrom<(u16, u16)> for StatusRange {
    type Error = InvalidValue;
    fn try_from((from, to): (u16, u16)) -> Result<Self, InvalidValue> {
        Self::new(from, to)
    }
}

impl From<StatusRange> for (u16, u16) {
    fn from(range: StatusRange) -> (u16, u16) {
        (range.from, range.to)
    }
}

impl Default for StatusRange {
    /// What `option httpchk` alone takes for a pass.
    fn default() -> Self {
        Self { from: 200, to: 399 }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to { self.from.fmt(f) } else { write!(f, "{}-{}", self.from, self.to) }
    }
}
