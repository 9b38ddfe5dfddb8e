//! `show servers state`: what each server is, can take and was last checked as (management manual 9.3).

use std::net::IpAddr;
use std::time::Duration;

use super::error::ParseError;
use super::table::{Column, Header, Row, visit_table};
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
    /// The host name, if the address comes from one.
    pub fqdn: Option<S>,
    /// Whether it takes traffic.
    pub operational: OpState,
    /// What an administrator has said of it.
    pub admin: AdminState,
    /// The weight set last, by line or command.
    pub weight: Weight,
    /// The weight on its line; `weight 100%` goes back to it.
    pub initial_weight: Weight,
    /// How long `operational` has been the same, in whole seconds.
    pub since_change: Duration,
    /// The last check.
    pub check: CheckState,
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

/// A server's health check, as it stood last.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CheckState {
    /// HAProxy's number for the outcome: 1 no check yet, 8 connection refused, 15 layer 7 passed.
    pub status: u16,
    /// The outcome in short. On a slot whose address changed it is the old address's until the next check.
    pub result: CheckResult,
    /// How far between down and up: from `rise` on it is up.
    pub health: u32,
    flags: u16,
}

/// The outcome of a check in short (`srv_check_result`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CheckResult {
    /// No check yet, or a value that this program does not know.
    Unknown,
    /// Says nothing of the server.
    Neutral,
    /// Down.
    Failed,
    /// Up.
    Passed,
    /// Up, but no new sessions wanted (a 404 with `http-check disable-on-404`).
    ConditionallyPassed,
}

impl OpState {
    /// True if it takes new traffic, as far as its checks go.
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

impl AdminState {
    /// `disabled` on the server's line.
    pub const CONFIG_MAINT: u8 = 0x04;
    const DRAIN: u8 = 0x08 | 0x10;
    const MAINT: u8 = 0x01 | 0x02 | 0x20;

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

    /// Draining: no new traffic except for known sessions, checks go on.
    pub const fn is_drain(self) -> bool {
        self.0 & Self::DRAIN != 0
    }

    /// The line says `disabled`; whether it still is, only [`is_maint`](Self::is_maint) knows.
    pub const fn is_config_maint(self) -> bool {
        self.0 & Self::CONFIG_MAINT != 0
    }
}

impl CheckState {
    const CONFIGURED: u16 = 0x02;
    const ENABLED: u16 = 0x04;
    const IN_PROGRESS: u16 = 0x01;

    /// The server has `check` on its line.
    pub const fn is_configured(self) -> bool {
        self.flags & Self::CONFIGURED != 0
    }

    /// Checks run (`enable health`); a server added live starts without.
    pub const fn is_enabled(self) -> bool {
        self.flags & Self::ENABLED != 0
    }

    /// A check is under way now.
    pub const fn is_in_progress(self) -> bool {
        self.flags & Self::IN_PROGRESS != 0
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
            fqdn: self.fqdn.map(str::to_owned),
            operational: self.operational,
            admin: self.admin,
            weight: self.weight,
            initial_weight: self.initial_weight,
            since_change: self.since_change,
            check: self.check,
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
    since_change: Column,
    check_status: Column,
    check_result: Column,
    check_health: Column,
    check_flags: Column,
    port: Column,
    id_is_forced: Option<Column>,
    fqdn: Option<Column>,
    tls: Option<Column>,
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
            since_change: header.column("srv_time_since_last_change")?,
            check_status: header.column("srv_check_status")?,
            check_result: header.column("srv_check_result")?,
            check_health: header.column("srv_check_health")?,
            check_flags: header.column("srv_check_state")?,
            port: header.column("srv_port")?,
            id_is_forced: header.optional("srv_f_forced_id"),
            fqdn: header.optional("srv_fqdn"),
            tls: header.optional("srv_use_ssl"),
        })
    }

    fn read<'t>(&self, row: &Row<'_, 't>) -> Result<ServerState<&'t str>, ParseError> {
        let flag = |column: Option<Column>| column.map_or(Ok(false), |c| row.text(c).map(|text| text == "1"));
        let fqdn = self.fqdn.map(|column| row.text(column)).transpose()?.filter(|name| *name != "-");
        Ok(ServerState {
            backend: row.text(self.backend)?,
            backend_id: row.value(self.backend_id)?,
            server: row.text(self.server)?,
            server_id: ServerId::new(row.value(self.server_id)?),
            id_is_forced: flag(self.id_is_forced)?,
            address: row.option(self.address, "-")?,
            port: row.value(self.port)?,
            fqdn,
            operational: operational(row, self.operational)?,
            admin: AdminState(row.value(self.admin)?),
            weight: weight(row, self.weight)?,
            initial_weight: weight(row, self.initial_weight)?,
            // A clock that was set back makes it negative.
            since_change: Duration::from_secs(row.value::<i64>(self.since_change)?.max(0).unsigned_abs()),
            check: CheckState {
                status: row.value(self.check_status)?,
                result: result(row.value(self.check_result)?),
                health: row.value(self.check_health)?,
                flags: row.value(self.check_flags)?,
            },
            tls: flag(self.tls)?,
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

fn result(number: u8) -> CheckResult {
    match number {
        1 => CheckResult::Neutral,
        2 => CheckResult::Failed,
        3 => CheckResult::Passed,
        4 => CheckResult::ConditionallyPassed,
        _ => CheckResult::Unknown,
    }
}

#[cfg(test)]
mod tests;
