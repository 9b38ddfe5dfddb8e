//! `show servers state`: what each server is, can take and was last checked as (management manual 9.3).

use std::net::IpAddr;

use super::command::AdminCommand;
use super::error::ParseError;
use super::table::{Column, Header, Row, visit_table};
use crate::address::Port;
use crate::weight::{ServerId, Weight};

const COMMAND: &str = "show servers state";

/// One server as HAProxy shows it. Names are as HAProxy prints them and may be longer than Roster's own. `S` holds its
/// texts: a `String`, or a part of the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerState<S = String> {
    /// The backend's name.
    pub backend: S,
    /// The backend's number; `show stat` finds the backend by it even where a frontend has the same name.
    pub backend_id: u32,
    /// The server's name.
    pub server: S,
    /// The server's number; none in a disabled backend, which has not numbered its servers.
    pub server_id: Option<ServerId>,
    /// True if the number was written in the configuration or given when the server was added.
    pub id_is_forced: bool,
    /// The address; none for a host name that is not resolved yet and for a Unix socket.
    pub address: Option<IpAddr>,
    /// The port; 0 if the line has none. A port that is an offset (`+3000`) cannot be told from a fixed one.
    pub port: u16,
    /// The host name that its address comes from: `srv_fqdn`, else `srvrecord`, which is there before the first answer.
    pub host: Option<S>,
    /// Whether it takes traffic.
    pub operational: OpState,
    /// What an administrator has said of it.
    pub admin: AdminState,
    /// The weight set last, by line or command.
    pub weight: Weight,
    /// The weight on its line; `weight 100%` goes back to it.
    pub initial_weight: Weight,
    /// Its check.
    pub check: CheckState,
    /// Its agent check (`agent-check`).
    pub agent: CheckState,
    /// True if connections to it are made over TLS; false too where the version does not say.
    pub tls: bool,
}

/// Whether a server takes traffic (`srv_op_state`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OpState {
    /// Down: no traffic.
    Stopped,
    /// Coming up slowly (`slowstart`).
    Starting,
    /// Up.
    Running,
    /// Up, but to be taken out: known sessions only.
    Stopping,
}

/// What an administrator has said of a server (`srv_admin_state`, a set of bits).
///
/// Bit 4 (`disabled` in the configuration) stays set after `state ready`, so a live server can read 4; ask
/// [`is_maint`](Self::is_maint) and [`is_drain`](Self::is_drain), never whether the number is 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct AdminState(u8);

/// A server's health check or agent check.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct CheckState {
    /// How far between down and up: from `rise` on it is up. HAProxy does not show this of an agent.
    pub health: u32,
    /// The address that is asked, where its line names one.
    pub address: Option<IpAddr>,
    /// The port that is asked, where its line names one.
    pub port: Option<Port>,
    flags: u16,
}

impl OpState {
    /// True if it takes new traffic, as far as its checks go.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

impl AdminState {
    /// By command, or by the server's agent.
    const FORCED_MAINT: u8 = 0x01;
    /// The server that it tracks is in maintenance (`track`).
    const INHERITED_MAINT: u8 = 0x02;
    /// `disabled` on the server's line.
    pub const CONFIG_MAINT: u8 = 0x04;
    /// By command, or by the server's agent.
    const FORCED_DRAIN: u8 = 0x08;
    /// The server that it tracks drains.
    const INHERITED_DRAIN: u8 = 0x10;
    /// Its host name does not resolve. The bit beside it, 0x40, says that a command gave it another host name, and is no
    /// maintenance.
    const RESOLUTION_MAINT: u8 = 0x20;
    const DRAIN: u8 = Self::FORCED_DRAIN | Self::INHERITED_DRAIN;
    const MAINT: u8 = Self::FORCED_MAINT | Self::INHERITED_MAINT | Self::RESOLUTION_MAINT;

    /// The bits as HAProxy prints them.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// The bits as HAProxy prints them.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// In maintenance: by command, because the server it tracks is, or because its name does not resolve.
    pub const fn is_maint(self) -> bool {
        self.0 & Self::MAINT != 0
    }

    /// Its host name does not resolve.
    pub const fn is_resolution_maint(self) -> bool {
        self.0 & Self::RESOLUTION_MAINT != 0
    }

    /// Draining: no new traffic except for known sessions, checks go on.
    pub const fn is_drain(self) -> bool {
        self.0 & Self::DRAIN != 0
    }

    /// What it was told itself, whatever it inherits from another server or from its host name.
    pub const fn told(self) -> AdminCommand {
        if self.0 & Self::FORCED_MAINT != 0 {
            AdminCommand::Maint
        } else if self.0 & Self::FORCED_DRAIN != 0 {
            AdminCommand::Drain
        } else {
            AdminCommand::Ready
        }
    }

    /// The line says `disabled`; whether it still is, only [`is_maint`](Self::is_maint) knows.
    pub const fn is_config_maint(self) -> bool {
        self.0 & Self::CONFIG_MAINT != 0
    }
}

impl CheckState {
    const CONFIGURED: u16 = 0x02;
    const ENABLED: u16 = 0x04;

    /// The server has `check` on its line.
    pub const fn is_configured(self) -> bool {
        self.flags & Self::CONFIGURED != 0
    }

    /// Checks run (`enable health`); a server added live starts without.
    pub const fn is_enabled(self) -> bool {
        self.flags & Self::ENABLED != 0
    }
}

/// Reads the answer to `show servers state [<backend>]`.
pub fn parse(text: &str) -> Result<Vec<ServerState>, ParseError> {
    let mut rows = Vec::new();
    visit(text, |row| rows.push(row.into_owned()))?;
    Ok(rows)
}

/// The same, but each server is only shown to `each`, and nothing of the answer is copied. Where it fails some servers
/// may have been shown.
pub fn visit<'t>(text: &'t str, mut each: impl FnMut(ServerState<&'t str>)) -> Result<(), ParseError> {
    visit_table(COMMAND, table(text)?, 2, Columns::find, |columns, row| {
        each(columns.read(row)?);
        Ok(())
    })
}

/// Shows only where each server is: its name, its address and its port, as in [`ServerState`].
pub fn visit_addresses<'t>(
    text: &'t str,
    mut each: impl FnMut(&'t str, Option<IpAddr>, u16),
) -> Result<(), ParseError> {
    let find = |header: &Header<'_>| {
        Ok((header.column("srv_name")?, header.column("srv_addr")?, header.column("srv_port")?))
    };
    visit_table(COMMAND, table(text)?, 2, find, |(name, address, port), row| {
        each(row.text(*name)?, row.option(*address, "-")?, row.value(*port)?);
        Ok(())
    })
}

/// The first line is the format's version; 1 is the only one there ever was.
fn table(text: &str) -> Result<&str, ParseError> {
    text.strip_prefix("1\n").ok_or_else(|| ParseError::not_an_answer(COMMAND, text))
}

impl ServerState<&str> {
    fn into_owned(self) -> ServerState {
        ServerState {
            backend: self.backend.to_owned(),
            backend_id: self.backend_id,
            server: self.server.to_owned(),
            server_id: self.server_id,
            id_is_forced: self.id_is_forced,
            address: self.address,
            port: self.port,
            host: self.host.map(str::to_owned),
            operational: self.operational,
            admin: self.admin,
            weight: self.weight,
            initial_weight: self.initial_weight,
            check: self.check,
            agent: self.agent,
            tls: self.tls,
        }
    }
}

struct Columns {
    backend_id: Column,
    backend: Column,
    server_id: Column,
    server: Column,
    address: Column,
    operational: Column,
    admin: Column,
    weight: Column,
    initial_weight: Column,
    check_health: Column,
    check: CheckColumns,
    agent: CheckColumns,
    port: Column,
    id_is_forced: Option<Column>,
    fqdn: Option<Column>,
    srv_record: Option<Column>,
    tls: Option<Column>,
}

/// Where the columns of a health check or of an agent check stand.
struct CheckColumns {
    flags: Option<Column>,
    address: Option<Column>,
    port: Option<Column>,
}

impl Columns {
    fn find(header: &Header<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            backend_id: header.column("be_id")?,
            backend: header.column("be_name")?,
            server_id: header.column("srv_id")?,
            server: header.column("srv_name")?,
            address: header.column("srv_addr")?,
            operational: header.column("srv_op_state")?,
            admin: header.column("srv_admin_state")?,
            weight: header.column("srv_uweight")?,
            initial_weight: header.column("srv_iweight")?,
            check_health: header.column("srv_check_health")?,
            check: CheckColumns {
                flags: Some(header.column("srv_check_state")?),
                address: header.optional("srv_check_addr"),
                port: header.optional("srv_check_port"),
            },
            agent: CheckColumns { flags: header.optional("srv_agent_state"), address: None, port: None },
            port: header.column("srv_port")?,
            id_is_forced: header.optional("srv_f_forced_id"),
            fqdn: header.optional("srv_fqdn"),
            srv_record: header.optional("srvrecord"),
            tls: header.optional("srv_use_ssl"),
        })
    }

    fn read<'t>(&self, row: &Row<'_, 't>) -> Result<ServerState<&'t str>, ParseError> {
        let flag = |column: Option<Column>| column.map_or(Ok(false), |c| row.text(c).map(|text| text == "1"));
        let name = |column: Option<Column>| {
            let text = column.map(|column| row.text(column)).transpose()?;
            Ok::<_, ParseError>(text.filter(|name| *name != "-"))
        };
        Ok(ServerState {
            backend: row.text(self.backend)?,
            backend_id: row.value(self.backend_id)?,
            server: row.text(self.server)?,
            server_id: ServerId::new(row.value(self.server_id)?),
            id_is_forced: flag(self.id_is_forced)?,
            address: row.option(self.address, "-")?,
            port: row.value(self.port)?,
            host: name(self.fqdn)?.or(name(self.srv_record)?),
            operational: operational(row, self.operational)?,
            admin: AdminState(row.value(self.admin)?),
            weight: weight(row, self.weight)?,
            initial_weight: weight(row, self.initial_weight)?,
            check: CheckState { health: row.value(self.check_health)?, ..self.check.read(row)? },
            agent: self.agent.read(row)?,
            tls: flag(self.tls)?,
        })
    }
}

impl CheckColumns {
    fn read(&self, row: &Row<'_, '_>) -> Result<CheckState, ParseError> {
        let port = self.port.map(|column| row.value(column)).transpose()?;
        Ok(CheckState {
            health: 0,
            address: self.address.map(|column| row.option(column, "-")).transpose()?.flatten(),
            port: port.and_then(Port::new),
            flags: self.flags.map_or(Ok(0), |column| row.value(column))?,
        })
    }
}

fn operational(row: &Row<'_, '_>, column: Column) -> Result<OpState, ParseError> {
    match row.text(column)? {
        "0" => Ok(OpState::Stopped),
        "1" => Ok(OpState::Starting),
        "2" => Ok(OpState::Running),
        "3" => Ok(OpState::Stopping),
        other => Err(row.wrong(column, other)),
    }
}

fn weight(row: &Row<'_, '_>, column: Column) -> Result<Weight, ParseError> {
    let text = row.text(column)?;
    text.parse().ok().and_then(|number| Weight::new(number).ok()).ok_or_else(|| row.wrong(column, text))
}

#[cfg(test)]
mod tests;
