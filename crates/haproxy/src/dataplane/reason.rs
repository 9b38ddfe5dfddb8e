//! Why a text only comes to HAProxy by a reload.

use std::fmt;

/// Why a text only comes to HAProxy by a reload. Names are as they stand in the file.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ReloadReason {
    /// All slots are taken, so servers are added.
    SlotsFull {
        /// The backend.
        backend: String,
        /// How many.
        added: usize,
    },
    /// Servers are removed.
    ServersRemoved {
        /// The backend.
        backend: String,
        /// How many.
        removed: usize,
    },
    /// A server's line changes in what cannot be changed live.
    ServerChanged {
        /// The backend.
        backend: String,
        /// The server.
        server: String,
    },
    /// Servers get the check and the cookie that are wanted and that their lines do not give them.
    ServersShaped {
        /// The backend.
        backend: String,
        /// How many.
        servers: usize,
    },
    /// Servers get weights that the backend's algorithm does not take live.
    WeightsChanged {
        /// The backend.
        backend: String,
        /// How many.
        servers: usize,
    },
    /// A server is in the file, but HAProxy does not have it.
    ServerNotRunning {
        /// The backend.
        backend: String,
        /// The server.
        server: String,
    },
    /// A backend, or servers of it, is in the file, but HAProxy does not have it: its reload never came.
    FileAhead(String),
    /// A server's address, weight or maintenance changes in the file, and nothing brings it to the process.
    NotBrought {
        /// The backend.
        backend: String,
        /// The server.
        server: String,
        /// What of it.
        what: &'static str,
    },
    /// What the process is told of a server is not what the file says of it.
    Contradicted {
        /// The backend.
        backend: String,
        /// The server.
        server: String,
        /// What of it.
        what: &'static str,
    },
    /// The backend's algorithm takes no such weight live.
    WeightNotLive {
        /// The backend.
        backend: String,
        /// The server.
        server: String,
    },
    /// A backend is new.
    BackendNew(String),
    /// A backend is gone.
    BackendRemoved(String),
    /// A backend says something else.
    BackendChanged(String),
    /// The checks of a backend ask something else.
    ChecksChanged(String),
    /// Routes of ours in a frontend change.
    RoutesChanged(String),
    /// Another section says something else, is new or gone, or stands elsewhere.
    SectionChanged(String),
    /// The process is to be told more than one call can hold.
    TooManyActions {
        /// How many bytes they are.
        bytes: usize,
    },
}

impl ReloadReason {
    /// One word for a metric's label.
    pub fn word(&self) -> &'static str {
        match self {
            Self::SlotsFull { .. } => "slots_full",
            Self::ServersRemoved { .. } => "servers_removed",
            Self::ServerChanged { .. } => "server_changed",
            Self::ServersShaped { .. } => "servers_shaped",
            Self::WeightsChanged { .. } => "weights_changed",
            Self::ServerNotRunning { .. } => "server_not_running",
            Self::FileAhead(_) => "file_ahead",
            Self::NotBrought { .. } => "not_brought",
            Self::Contradicted { .. } => "contradicted",
            Self::WeightNotLive { .. } => "weight_not_live",
            Self::BackendNew(_) => "backend_added",
            Self::BackendRemoved(_) => "backend_removed",
            Self::BackendChanged(_) => "backend_changed",
            Self::ChecksChanged(_) => "checks_changed",
            Self::RoutesChanged(_) => "routes_changed",
            Self::SectionChanged(_) => "section_changed",
            Self::TooManyActions { .. } => "too_many_actions",
        }
    }
}

impl fmt::Display for ReloadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SlotsFull { backend, added } => {
                write!(f, "the slots of backend {backend} are full, and {added} more are added")
            }
            Self::ServersRemoved { backend, removed } => {
                write!(f, "backend {backend} loses {removed} servers")
            }
            Self::ServerChanged { backend, server } => {
                write!(f, "server {server} of backend {backend} changes in what cannot be changed live")
            }
            Self::ServersShaped { backend, servers } => {
                write!(
                    f,
                    "{servers} servers of backend {backend} get the check and the cookie that they lack"
                )
            }
            Self::WeightsChanged { backend, servers } => write!(
                f,
                "{servers} servers of backend {backend} get weights that its algorithm does not take while HAProxy runs"
            ),
            Self::ServerNotRunning { backend, server } => {
                write!(f, "server {server} of backend {backend} is in the file, but HAProxy does not have it")
            }
            Self::FileAhead(backend) => {
                write!(f, "backend {backend} stands in the file, but HAProxy does not have all of it")
            }
            Self::NotBrought { backend, server, what } => {
                write!(f, "the {what} of server {server} of backend {backend} changes in the file alone")
            }
            Self::Contradicted { backend, server, what } => {
                write!(
                    f,
                    "the {what} of server {server} of backend {backend} would not be what the file says"
                )
            }
            Self::WeightNotLive { backend, server } => write!(
                f,
                "the algorithm of backend {backend} takes no such weight for server {server} while HAProxy runs"
            ),
            Self::BackendNew(backend) => write!(f, "backend {backend} is new"),
            Self::BackendRemoved(backend) => write!(f, "backend {backend} is gone"),
            Self::BackendChanged(backend) => write!(f, "backend {backend} changed"),
            Self::ChecksChanged(backend) => write!(f, "the checks of backend {backend} ask something else"),
            Self::RoutesChanged(frontend) => write!(f, "the routes in frontend {frontend} changed"),
            Self::SectionChanged(section) => write!(f, "section {section} changed"),
            Self::TooManyActions { bytes } => {
                write!(f, "{bytes} bytes of actions are more than one call holds; a reload brings them")
            }
        }
    }
}
