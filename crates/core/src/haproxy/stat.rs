//! `show stat`: traffic, status and, on the backend's own line, balance algorithm and cookie name
//! (management manual 9.1).

mod fixed;

use std::borrow::Cow;
use std::net::SocketAddr;

pub use self::fixed::{Fixed, fixed};
use super::csv::next_record;
use super::error::ParseError;
use super::table::{Column, Header, Row};
use crate::weight::ServerId;

const COMMAND: &str = "show stat";

/// One line of `show stat`. A column that this HAProxy does not print, or leaves empty, is none or 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatRow {
    /// The proxy's name (`pxname`).
    pub proxy: String,
    /// The proxy's number (`iid`).
    pub proxy_id: u32,
    /// The server's name, or `BACKEND` (`svname`).
    pub name: String,
    /// What the line is about (`type`).
    pub kind: StatKind,
    /// The server's number (`sid`).
    pub server_id: Option<ServerId>,
    /// `UP`, `DOWN`, `MAINT`, `DRAIN`, `no check`, `UP 1/3`, …
    pub status: String,
    /// Sessions now (`scur`).
    pub sessions: u64,
    /// Requests waiting for a connection now (`qcur`).
    pub queued: u64,
    /// Active servers that are up; on a server's line 1 if it is active, that is, not `backup` (`act`).
    pub active: u32,
    /// Backup servers that are up; on a server's line 1 if it is `backup` (`bck`).
    pub backup: u32,
    /// The weight in force now, after `slowstart` (`weight`).
    pub weight: Option<u32>,
    /// The last check's outcome: `L4OK`, `L7STS`, `* L4CON` while one is under way (`check_status`).
    pub check_status: Option<String>,
    /// What the check said, from the server itself: hostile text (`last_chk`).
    pub last_check: Option<String>,
    /// The server's address, if it has one and the socket's level is operator or admin (`addr`).
    pub address: Option<SocketAddr>,
    /// The server's cookie value, or the backend's cookie name; level operator or admin only (`cookie`).
    pub cookie: Option<String>,
    /// `http` or `tcp` (`mode`).
    pub mode: Option<String>,
    /// The balance algorithm, on the backend's line; level operator or admin only (`algo`).
    pub algorithm: Option<String>,
}

/// What a line of `show stat` is about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StatKind {
    /// A frontend.
    Frontend,
    /// A backend as a whole.
    Backend,
    /// A server.
    Server,
    /// A listening socket.
    Listener,
}

/// Reads the answer to `show stat …`.
pub fn parse(text: &str) -> Result<Vec<StatRow>, ParseError> {
    let table = text.strip_prefix("# ").ok_or_else(|| ParseError::not_an_answer(COMMAND, text))?;
    let mut record = Vec::new();
    let after = next_record(table, &mut record).unwrap_or_default();
    let names = record.iter().map(AsRef::as_ref).collect();
    let columns = Columns::find(&Header::new(COMMAND, names))?;
    let mut rest = after;
    let mut rows = Vec::new();
    let mut number = 1;
    let mut fields: Vec<Cow<'_, str>> = Vec::new();
    while let Some(after) = next_record(rest, &mut fields) {
        rest = after;
        number += 1;
        if fields.len() > 1 {
            let fields: Vec<&str> = fields.iter().map(AsRef::as_ref).collect();
            rows.push(columns.read(&Row::new(COMMAND, number, &fields))?);
        }
    }
    Ok(rows)
}

struct Columns {
    proxy: Column,
    proxy_id: Column,
    name: Column,
    kind: Column,
    server_id: Column,
    status: Column,
    sessions: Column,
    queued: Column,
    active: Column,
    backup: Column,
    weight: Column,
    check_status: Option<Column>,
    last_check: Option<Column>,
    address: Option<Column>,
    cookie: Option<Column>,
    mode: Option<Column>,
    algorithm: Option<Column>,
}

impl Columns {
    fn find(header: &Header<'_>) -> Result<Self, ParseError> {
        Ok(Self {
            proxy: header.column("pxname")?,
            proxy_id: header.column("iid")?,
            name: header.column("svname")?,
            kind: header.column("type")?,
            server_id: header.column("sid")?,
            status: header.column("status")?,
            sessions: header.column("scur")?,
            queued: header.column("qcur")?,
            active: header.column("act")?,
            backup: header.column("bck")?,
            weight: header.column("weight")?,
            check_status: header.optional("check_status"),
            last_check: header.optional("last_chk"),
            address: header.optional("addr"),
            cookie: header.optional("cookie"),
            mode: header.optional("mode"),
            algorithm: header.optional("algo"),
        })
    }

    fn read(&self, row: &Row<'_, '_>) -> Result<StatRow, ParseError> {
        let text = |column: Option<Column>| -> Result<Option<String>, ParseError> {
            let text = column.map(|column| row.text(column)).transpose()?;
            Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
        };
        Ok(StatRow {
            proxy: row.text(self.proxy)?.to_owned(),
            proxy_id: row.value(self.proxy_id)?,
            name: row.text(self.name)?.to_owned(),
            kind: kind(row, self.kind)?,
            server_id: row.option(self.server_id, "")?.and_then(ServerId::new),
            status: row.text(self.status)?.to_owned(),
            sessions: row.option(self.sessions, "")?.unwrap_or(0),
            queued: row.option(self.queued, "")?.unwrap_or(0),
            active: row.option(self.active, "")?.unwrap_or(0),
            backup: row.option(self.backup, "")?.unwrap_or(0),
            weight: row.option(self.weight, "")?,
            check_status: text(self.check_status)?,
            last_check: text(self.last_check)?,
            // `unix` for a Unix socket, `abns@…`, empty on a backend's line: none of them is an address.
            address: self.address.map(|column| row.text(column)).transpose()?.and_then(|a| a.parse().ok()),
            cookie: text(self.cookie)?,
            mode: text(self.mode)?,
            algorithm: text(self.algorithm)?,
        })
    }
}

fn kind(row: &Row<'_, '_>, column: Column) -> Result<StatKind, ParseError> {
    let text = row.text(column)?;
    kind_of(text).ok_or_else(|| row.wrong(column, text))
}

fn kind_of(text: &str) -> Option<StatKind> {
    match text {
        "0" => Some(StatKind::Frontend),
        "1" => Some(StatKind::Backend),
        "2" => Some(StatKind::Server),
        "3" => Some(StatKind::Listener),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORDED: [&str; 2] =
        [include_str!("fixtures/stat-2.6.csv"), include_str!("fixtures/stat-3.0.csv")];

    fn row<'r>(rows: &'r [StatRow], name: &str) -> &'r StatRow {
        rows.iter().find(|row| row.name == name).unwrap()
    }

    #[test]
    fn servers_and_backend_are_read_on_2_6_and_3_0() {
        for text in RECORDED {
            let rows = parse(text).unwrap();
            assert_eq!(rows.len(), 11);
            let s1 = row(&rows, "s1");
            assert_eq!((s1.proxy.as_str(), s1.proxy_id, s1.kind), ("web", 4, StatKind::Server));
            assert_eq!((s1.status.as_str(), s1.weight, s1.server_id), ("UP", Some(10), ServerId::new(1)));
            assert_eq!(s1.check_status.as_deref(), Some("L7OK"));
            assert_eq!(s1.cookie.as_deref(), Some("c1"));
            assert_eq!(s1.address, Some("127.0.0.1:19001".parse().unwrap()));
            assert_eq!((s1.active, s1.backup), (1, 0));
            assert_eq!((row(&rows, "s2").active, row(&rows, "s2").backup), (0, 1));
            assert_eq!(row(&rows, "s4").address, Some("[::1]:19003".parse().unwrap()));
            assert_eq!(row(&rows, "s5").address, None, "a Unix socket");
            assert_eq!(row(&rows, "10.0.0.1:8080").status, "MAINT");
        }
    }

    #[test]
    fn algorithm_and_cookie_name_stand_on_the_backends_line() {
        for text in RECORDED {
            let rows = parse(text).unwrap();
            let backend = row(&rows, "BACKEND");
            assert_eq!(backend.kind, StatKind::Backend);
            assert_eq!(backend.algorithm.as_deref(), Some("roundrobin"));
            assert_eq!(backend.cookie.as_deref(), Some("SRV"));
            assert_eq!(backend.mode.as_deref(), Some("http"));
            assert_eq!(backend.server_id, None);
        }
    }

    #[test]
    fn at_level_user_address_algorithm_and_cookie_are_unknown() {
        for text in [
            include_str!("fixtures/stat-user-level-2.6.csv"),
            include_str!("fixtures/stat-user-level-3.0.csv"),
        ] {
            let rows = parse(text).unwrap();
            assert!(rows.iter().all(|row| row.algorithm.is_none() && row.cookie.is_none()));
            assert!(rows.iter().all(|row| row.address.is_none()));
            assert_eq!(row(&rows, "s1").status, "UP");
        }
    }

    #[test]
    fn a_line_break_in_what_a_server_said_makes_no_new_line() {
        let text = "# pxname,svname,qcur,scur,status,weight,act,bck,iid,sid,type,last_chk,\n\
                    web,s1,0,0,UP,1,1,0,4,1,2,\"a\nweb,s9,0,0,UP,1,1,0,4,9,2,\"\"x\"\"\",\n";
        let rows = parse(text).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].last_check.as_deref(), Some("a\nweb,s9,0,0,UP,1,1,0,4,9,2,\"x\""));
    }

    #[test]
    fn an_unknown_proxy_is_an_error() {
        assert!(matches!(parse("No such proxy.\n"), Err(ParseError::Refused { .. })));
        assert!(parse("").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "(?s).*") {
            let _read = parse(&text);
            let header = RECORDED[0].lines().next().unwrap();
            let _read = parse(&format!("{header}\n{text}"));
        }
    }
}
