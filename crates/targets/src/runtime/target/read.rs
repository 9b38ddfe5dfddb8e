//! A backend as far as `show servers state` and `show servers conn` tell.

use std::collections::BTreeMap;

use roster_haproxy::cli::{Command, ParseError, ServerConnections, ServerState, StatScope, servers_state};
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::observed::{ObservedCheck, ObservedLine, ObservedServer};

/// One backend.
#[derive(Debug)]
pub(super) struct ReadBackend {
    pub(super) name: BackendName,
    number: Option<u32>,
    pub(super) servers: BTreeMap<ServerName, ObservedServer>,
}

impl ReadBackend {
    /// Reads the answer to `show servers state`.
    pub(super) fn new(name: BackendName, answer: &str) -> Result<Self, ParseError> {
        let mut number = None;
        let mut servers = Vec::new();
        servers_state::visit(answer, |row| {
            number = number.or(Some(row.backend_id));
            // A name that Roster could not write is nobody it could ever have to name.
            servers.extend(ServerName::new(row.server).ok().zip(observed(&row)));
        })?;
        Ok(Self { name, number, servers: servers.into_iter().collect() })
    }

    pub(super) fn count(&mut self, rows: &[ServerConnections]) {
        for row in rows {
            if let Some(server) = self.servers.get_mut(row.server.as_str()) {
                server.connections = Some(u32::try_from(row.used).unwrap_or(u32::MAX));
            }
        }
    }

    /// By number where it is known: a frontend may have the backend's name.
    pub(super) fn stat(&self) -> Command {
        let by_name = || StatScope::Backend(self.name.clone());
        Command::ShowStat(self.number.map_or_else(by_name, StatScope::Proxy))
    }
}

fn observed(row: &ServerState<&str>) -> Option<ObservedServer> {
    Some(ObservedServer {
        id: row.server_id?,
        id_is_forced: row.id_is_forced,
        ip: row.address,
        port: row.port,
        host: row.host.map(Into::into),
        op: row.operational,
        admin: row.admin,
        weight: row.weight,
        initial_weight: row.initial_weight,
        check: ObservedCheck {
            configured: row.check.is_configured(),
            enabled: row.check.is_enabled(),
            health: row.check.health,
            address: row.check.address,
            port: row.check.port,
        },
        has_agent: row.agent.is_configured() && row.agent.is_enabled(),
        tls: row.tls,
        line: ObservedLine::default(),
        connections: None,
    })
}
