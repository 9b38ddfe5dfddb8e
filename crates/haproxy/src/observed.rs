//! What a target was read to hold.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU32;

use crate::address::{Endpoint, Port};
pub use crate::cli::AdminCommand as State;
use crate::cli::{AdminState, OpState};
use crate::name::{BackendName, ServerName};
use crate::version::Version;
use crate::weight::{ServerId, Weight};

/// What one HAProxy process was read to hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Observed {
    /// The backends that were asked for and are there.
    pub backends: BTreeMap<BackendName, ObservedBackend>,
    /// Those that were asked for and are not.
    pub missing: BTreeSet<BackendName>,
}

/// One backend.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ObservedBackend {
    /// What can be done to it live.
    pub limits: BackendLimits,
    /// Its servers.
    pub servers: BTreeMap<ServerName, ObservedServer>,
}

/// What can be done to a backend while HAProxy runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BackendLimits {
    /// The process's version.
    pub version: Version,
    /// The balance algorithm, as `show stat` spells it.
    pub algorithm: Option<String>,
    /// Whether its algorithm is dynamic: only then does HAProxy take new servers and weights other than 0 and 100 %
    /// (configuration manual, `balance`).
    pub dynamic: bool,
    /// Whether servers can be added without a reload: its algorithm must be dynamic, and the way to HAProxy must have a
    /// word for it.
    pub grows: bool,
    /// The weight of a line to which Roster gives none, where the lines are Roster's own. What such a line says besides was
    /// written by Roster and is taken back. None where the weight of a line is somebody else's word.
    pub line_weight: Option<Weight>,
    /// Whether all that is done at once takes effect at once, or none of it, as in one write of HAProxy's file.
    pub at_once: bool,
}

/// One server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObservedServer {
    /// Its number in the backend.
    pub id: ServerId,
    /// Whether the number was written in the configuration, or given when the server was added.
    pub id_is_forced: bool,
    /// Its address; none where HAProxy prints `-`.
    pub ip: Option<IpAddr>,
    /// Its port; 0 where it has none.
    pub port: u16,
    /// The host name that its address comes from.
    pub host: Option<Box<str>>,
    /// What its checks make of it.
    pub op: OpState,
    /// What it was told to be.
    pub admin: AdminState,
    /// The weight it has.
    pub weight: Weight,
    /// The weight its line gives it.
    pub initial_weight: Weight,
    /// Its health check.
    pub check: ObservedCheck,
    /// Whether an agent check is switched on, which may change its state and its weight.
    pub has_agent: bool,
    /// Whether connections to it are made over TLS.
    pub tls: bool,
    /// What its line says besides.
    pub line: ObservedLine,
    /// How many connections are in use on it, where that was read.
    pub connections: Option<u32>,
}

/// A server's health check.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ObservedCheck {
    /// Whether its line has `check`.
    pub configured: bool,
    /// Whether it is switched on.
    pub enabled: bool,
    /// How many passes it counts: 0 after a failure, or after `set server … health down`.
    pub health: u32,
    /// The address that is asked, where that is not the server's own.
    pub address: Option<IpAddr>,
    /// The port that is asked, where that is not the server's own.
    pub port: Option<Port>,
}

/// What a server's line says that only `show stat` shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ObservedLine {
    /// Whether it is a backup server.
    pub backup: bool,
    /// Its `maxconn`.
    pub maxconn: Option<NonZeroU32>,
    /// Whether its cookie is its name.
    pub cookie_is_name: bool,
}

/// Why a server's address cannot be set, so that it is no slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FixedAddress<'a> {
    /// Its address comes from this host name: HAProxy resolves it, and sets it again.
    Host(&'a str),
    /// It is not at an IP address, but at a Unix socket or the like. HAProxy gives it none.
    NotIp,
}

impl Default for BackendLimits {
    fn default() -> Self {
        Self {
            version: Version::new(2, 6, 0),
            algorithm: None,
            dynamic: true,
            grows: true,
            line_weight: None,
            at_once: false,
        }
    }
}

impl ObservedServer {
    /// Where it points, if that is an address and a port.
    pub fn endpoint(&self) -> Option<Endpoint> {
        Some(Endpoint { ip: self.ip?, port: Port::new(self.port)? })
    }

    /// Why its address cannot be set, if it cannot. A placeholder may be called `localhost`: that name is no resolver's, as
    /// long as HAProxy does not wait for one.
    pub fn fixed_address(&self) -> Option<FixedAddress<'_>> {
        let resolved =
            self.host.as_deref().filter(|host| !is_local(host) || self.admin.is_resolution_maint());
        match (resolved, self.ip) {
            (Some(host), _) => Some(FixedAddress::Host(host)),
            (None, None) => Some(FixedAddress::NotIp),
            (None, Some(_)) => None,
        }
    }

    /// What it was told to be, whatever it inherits from a server that it tracks.
    pub fn told(&self) -> State {
        self.admin.told()
    }

    /// What it is: what it was told to be, or inherits.
    pub fn state(&self) -> State {
        if self.admin.is_maint() {
            State::Maint
        } else if self.admin.is_drain() {
            State::Drain
        } else {
            State::Ready
        }
    }

    /// Whether its checks, if it has any, find it up.
    pub fn is_up(&self) -> bool {
        matches!(self.op, OpState::Running | OpState::Starting)
    }

    /// Whether it takes new traffic.
    pub fn serves(&self) -> bool {
        self.state() == State::Ready && self.is_up()
    }
}

/// Whether a host name is that of the machine itself (RFC 6761, 6.3).
fn is_local(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost") || host.starts_with("localhost.localdomain")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spare() -> ObservedServer {
        ObservedServer {
            id: ServerId::new(1).unwrap(),
            id_is_forced: false,
            ip: Some(IpAddr::from([127, 0, 0, 1])),
            port: 1,
            host: None,
            op: OpState::Stopped,
            admin: AdminState::from_bits(5),
            weight: Weight::ONE,
            initial_weight: Weight::ONE,
            check: ObservedCheck::default(),
            has_agent: false,
            tls: false,
            line: ObservedLine::default(),
            connections: Some(0),
        }
    }

    #[test]
    fn a_server_with_a_host_name_or_without_an_ip_address_is_no_slot() {
        let named = |host: &str| ObservedServer { host: Some(host.into()), ..spare() };
        let resolved = named("app.example.org");
        assert_eq!(resolved.fixed_address(), Some(FixedAddress::Host("app.example.org")));
        let unresolved = ObservedServer { ip: None, ..resolved.clone() };
        assert_eq!(unresolved.fixed_address(), Some(FixedAddress::Host("app.example.org")));
        let socket = ObservedServer { ip: None, ..spare() };
        assert_eq!(socket.fixed_address(), Some(FixedAddress::NotIp));
        assert_eq!(spare().fixed_address(), None);
    }

    #[test]
    fn a_placeholder_called_localhost_is_a_slot_unless_a_resolver_has_it() {
        for host in ["localhost", "LOCALHOST.", "slots.localhost", "localhost.localdomain"] {
            let mut server = ObservedServer { host: Some(host.into()), ..spare() };
            assert_eq!(server.fixed_address(), None, "{host}");
            server.admin = AdminState::from_bits(0x20);
            assert_eq!(server.fixed_address(), Some(FixedAddress::Host(host)), "{host}");
        }
        let other = ObservedServer { host: Some("localhost.example.org".into()), ..spare() };
        assert!(other.fixed_address().is_some());
    }
}
