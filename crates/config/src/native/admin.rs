//! The address for the status page and metrics.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::format;
use crate::value::Off;

/// The address for the status page and metrics, or `off`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Admin {
    /// `off`: neither status page nor metrics.
    Off(Off),
    /// Where to listen.
    On(AdminServer),
}

/// Where Roster itself listens.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminServer {
    /// Address and port. Whoever can reach it can read every service and server, and change nothing.
    #[schemars(with = "format::ListenAddress")]
    pub listen: SocketAddr,
}

/// Where to listen, and who says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listen {
    /// Where.
    pub address: SocketAddr,
    /// Whether the file names it: then not being able to is an error, else only a pity.
    pub given: bool,
}

impl Default for AdminServer {
    fn default() -> Self {
        Self { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9876) }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Admin::On(AdminServer::default())
    }
}

impl Admin {
    /// The address to listen on, if any.
    pub fn listen(&self) -> Option<SocketAddr> {
        match self {
            Admin::Off(_) => None,
            Admin::On(server) => Some(server.listen),
        }
    }
}
