//! Commands of the Runtime API that can only be made from safe values, each on one line (management manual 9.3),
//! behind which some have a payload.

mod backends;
mod files;
mod notes;

use std::borrow::Cow;
use std::fmt::{self, Display as _};

use serde::{Deserialize, Serialize};

pub use self::backends::BackendCommand;
pub use self::files::{CrtLine, FileCommand, InvalidWord, MapVersion, MapWord};
pub use self::notes::{Note, NoteCommand};
use crate::address::Endpoint;
pub use crate::keywords::ServerKeywords;
use crate::name::{BackendName, ServerName};
use crate::weight::Weight;

/// A server in its backend, `backend/server`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct ServerPath {
    /// The backend.
    pub backend: BackendName,
    /// The server in it.
    pub server: ServerName,
}

/// What an administrator can say of a server (`set server … state`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminCommand {
    /// Takes traffic if its check says so.
    Ready,
    /// No new traffic but for known sessions (cookies, stick tables); checks go on.
    Drain,
    /// No traffic and no checks.
    Maint,
}

/// Which proxies `show stat` shows.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum StatScope {
    /// All of them: 20 kB for every 100 servers.
    All,
    /// The proxy of this name. Where a frontend has the same name HAProxy shows that one, with no line about
    /// servers; use the number then.
    Backend(BackendName),
    /// The proxy of this number (`be_id` of `show servers state`).
    Proxy(u32),
}

/// One command, one line.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Command {
    /// `show info`.
    ShowInfo,
    /// `show cli level`: what this socket lets one do.
    ShowLevel,
    /// `show backend`.
    ShowBackend,
    /// `show servers state [<backend>]`.
    ShowServersState(Option<BackendName>),
    /// `show servers conn [<backend>]`.
    ShowServersConn(Option<BackendName>),
    /// `show stat <proxy> 6 -1`: the backend's line and its servers'.
    ShowStat(StatScope),
    /// `set server … addr … port …`. On a server that is up HAProxy keeps the old check result, so that a dead new
    /// address gets requests: take it out first. From 2.9 on HAProxy answers before it has done it, so that the next
    /// command may still find the old address: read it back before anything that makes the server take traffic.
    SetAddr {
        /// Which server.
        server: ServerPath,
        /// Its new address and port.
        to: Endpoint,
    },
    /// `set server … state …`.
    SetState {
        /// Which server.
        server: ServerPath,
        /// What to tell it to be.
        to: AdminCommand,
    },
    /// `set server … weight …`. Refused, but for 0, where the balance algorithm is static.
    SetWeight {
        /// Which server.
        server: ServerPath,
        /// The new weight.
        to: Weight,
    },
    /// `set server … weight 100%`: back to the weight on its line. Every algorithm takes this one.
    ResetWeight(ServerPath),
    /// `set maxconn server …`.
    SetMaxconn {
        /// Which server.
        server: ServerPath,
        /// The most connections at a time; 0 for no limit.
        to: u32,
    },
    /// `enable health …`: a server added live needs it before its check runs.
    EnableHealth(ServerPath),
    /// `disable health …`.
    DisableHealth(ServerPath),
    /// `set server … health up|down`: what its checks have found so far is replaced. Taken without `check` too, and
    /// then nothing ever brings the server up again.
    SetHealth {
        /// Which server.
        server: ServerPath,
        /// Whether it counts as up; else the next pass is its first.
        up: bool,
    },
    /// `add server …` with a keyword that no version knows: refused in any case, and the refusal tells whether the
    /// backend's algorithm would take a new server.
    AskIfDynamic(BackendName),
    /// `enable server …`: out of the maintenance in which a server added live starts.
    EnableServer(ServerPath),
    /// `add server …`.
    AddServer {
        /// Its backend and name.
        server: ServerPath,
        /// Its address and port.
        at: Endpoint,
        /// Everything else. Nothing comes from `default-server`.
        keywords: Box<ServerKeywords>,
    },
    /// `del server …`: only in maintenance and without connections. Servers of the configuration, slots
    /// included, go as well.
    DelServer(ServerPath),
    /// `shutdown sessions server …`.
    ShutdownSessions(ServerPath),
    /// About a whole backend.
    Backend(BackendCommand),
    /// About a map, a crt-list or a certificate.
    Files(FileCommand),
    /// About a note.
    Notes(NoteCommand),
}

impl Command {
    /// True if it only asks, so that nothing is lost when it goes to a process on its way out.
    pub fn is_query(&self) -> bool {
        match self {
            Self::Files(command) => command.is_query(),
            Self::Notes(command) => command.is_query(),
            Self::Backend(_) => false,
            _ => self.server().is_none(),
        }
    }

    /// What follows its line: each line of it ends with a line break and none is empty. It may hold a private key.
    pub fn payload(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Files(command) => command.payload(),
            _ => None,
        }
    }

    /// The one server that it changes.
    pub fn server(&self) -> Option<&ServerPath> {
        match self {
            Self::SetAddr { server, .. }
            | Self::SetState { server, .. }
            | Self::SetWeight { server, .. }
            | Self::ResetWeight(server)
            | Self::SetMaxconn { server, .. }
            | Self::EnableHealth(server)
            | Self::DisableHealth(server)
            | Self::SetHealth { server, .. }
            | Self::EnableServer(server)
            | Self::AddServer { server, .. }
            | Self::DelServer(server)
            | Self::ShutdownSessions(server) => Some(server),
            Self::ShowInfo
            | Self::ShowLevel
            | Self::ShowBackend
            | Self::ShowServersState(_)
            | Self::ShowServersConn(_)
            | Self::ShowStat(_)
            | Self::AskIfDynamic(_)
            | Self::Files(_)
            | Self::Notes(_)
            | Self::Backend(_) => None,
        }
    }
}

/// The line as it is sent, without the line break and the [payload](Command::payload).
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShowInfo => f.write_str("show info"),
            Self::ShowLevel => f.write_str("show cli level"),
            Self::ShowBackend => f.write_str("show backend"),
            Self::ShowServersState(None) => f.write_str("show servers state"),
            Self::ShowServersState(Some(backend)) => write!(f, "show servers state {backend}"),
            Self::ShowServersConn(None) => f.write_str("show servers conn"),
            Self::ShowServersConn(Some(backend)) => write!(f, "show servers conn {backend}"),
            Self::ShowStat(StatScope::All) => f.write_str("show stat -1 6 -1"),
            Self::ShowStat(StatScope::Backend(backend)) => write!(f, "show stat {backend} 6 -1"),
            Self::ShowStat(StatScope::Proxy(number)) => write!(f, "show stat {number} 6 -1"),
            // Of these there are as many as servers.
            Self::SetAddr { server, to } => {
                write_set(f, server, " addr ")?;
                to.ip.fmt(f)?;
                f.write_str(" port ")?;
                to.port.fmt(f)
            }
            Self::SetState { server, to } => {
                write_set(f, server, " state ")?;
                to.fmt(f)
            }
            Self::SetWeight { server, to } => write!(f, "set server {server} weight {to}"),
            Self::ResetWeight(server) => write!(f, "set server {server} weight 100%"),
            Self::SetMaxconn { server, to } => write!(f, "set maxconn server {server} {to}"),
            Self::SetHealth { server, up } => {
                write!(f, "set server {server} health {}", if *up { "up" } else { "down" })
            }
            Self::AskIfDynamic(backend) => {
                write!(f, "add server {backend}/roster-asks 127.0.0.1:1 roster-asks")
            }
            Self::EnableHealth(server) => write!(f, "enable health {server}"),
            Self::DisableHealth(server) => write!(f, "disable health {server}"),
            Self::EnableServer(server) => write!(f, "enable server {server}"),
            Self::AddServer { server, at, keywords } => write!(f, "add server {server} {at}{keywords}"),
            Self::DelServer(server) => write!(f, "del server {server}"),
            Self::ShutdownSessions(server) => write!(f, "shutdown sessions server {server}"),
            Self::Backend(command) => command.fmt(f),
            Self::Files(command) => command.fmt(f),
            Self::Notes(command) => command.fmt(f),
        }
    }
}

fn write_set(f: &mut fmt::Formatter<'_>, server: &ServerPath, what: &str) -> fmt::Result {
    f.write_str("set server ")?;
    server.fmt(f)?;
    f.write_str(what)
}

impl fmt::Display for ServerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.backend.as_str())?;
        f.write_str("/")?;
        f.write_str(self.server.as_str())
    }
}

impl fmt::Display for AdminCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        })
    }
}

#[cfg(test)]
mod tests;
