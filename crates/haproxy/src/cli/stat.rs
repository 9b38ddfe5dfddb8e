//! `show stat` (management manual 9.1): what it says of a backend's lines in the configuration. Of each line of the answer only
//! the fields that are used are read: a line has a hundred, and a HAProxy may have ten thousand lines.

use std::borrow::Cow;
use std::num::NonZeroU32;

use super::csv::{Record, next_record};
use super::error::ParseError;
use super::table::{Column, Header};

const COMMAND: &str = "show stat";
/// What `type` says of a server's line and of a backend's own; 0 is a frontend, 3 a listening socket.
const SERVER: &str = "2";
const BACKEND: &str = "1";

/// What the configuration says of a backend and its servers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fixed<'t> {
    /// The balance algorithm; level operator or admin only (`algo`).
    pub algorithm: Option<Cow<'t, str>>,
    /// Its servers.
    pub servers: Vec<FixedServer<'t>>,
}

/// What a server's line says.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FixedServer<'t> {
    /// The server's name (`svname`).
    pub name: Cow<'t, str>,
    /// Whether it is `backup` (`bck`).
    pub backup: bool,
    /// Its `maxconn`, as it is now: a command may have changed it (`slim`).
    pub maxconn: Option<NonZeroU32>,
    /// Whether its cookie is its name; level operator or admin only (`cookie`).
    pub cookie_is_name: bool,
}

struct Columns {
    name: Column,
    kind: Column,
    backup: Column,
    limit: Option<Column>,
    cookie: Option<Column>,
    algorithm: Option<Column>,
    /// A line of so many fields has all that is read of a server.
    of_server: usize,
}

/// The fields of one line that tell something.
#[derive(Default)]
struct Line<'t> {
    fields: usize,
    name: Option<Cow<'t, str>>,
    kind: Option<Cow<'t, str>>,
    backup: Option<Cow<'t, str>>,
    limit: Option<Cow<'t, str>>,
    cookie: Option<Cow<'t, str>>,
    algorithm: Option<Cow<'t, str>>,
}

/// Reads the answer to `show stat <backend> 6 -1`.
pub fn fixed(text: &str) -> Result<Fixed<'_>, ParseError> {
    let table = text.strip_prefix("# ").ok_or_else(|| ParseError::not_an_answer(COMMAND, text))?;
    let mut header = Vec::new();
    let mut rest = next_record(table, &mut header).unwrap_or_default();
    let columns = Columns::find(&Header::new(COMMAND, header.iter().map(AsRef::as_ref).collect()))?;
    let mut fixed = Fixed::default();
    let mut number = 1;
    while let Some(mut record) = Record::at_front(rest) {
        number += 1;
        let line = columns.pick(&mut record);
        rest = record.finish();
        if line.fields > 1 {
            fixed.take(&columns, line, number)?;
        }
    }
    Ok(fixed)
}

impl Columns {
    fn find(header: &Header<'_>) -> Result<Self, ParseError> {
        let (name, kind, backup) = (header.column("svname")?, header.column("type")?, header.column("bck")?);
        let (limit, cookie) = (header.optional("slim"), header.optional("cookie"));
        let of_servers = [Some(name), Some(kind), Some(backup), limit, cookie];
        let last = of_servers.into_iter().flatten().map(Column::place).max().unwrap_or_default();
        let algorithm = header.optional("algo");
        Ok(Self { name, kind, backup, limit, cookie, algorithm, of_server: last + 1 })
    }

    fn pick<'t>(&self, record: &mut Record<'t>) -> Line<'t> {
        let mut line = Line::default();
        for field in record {
            let place = line.fields;
            line.fields += 1;
            if let Some(target) = self.target(&mut line, place) {
                *target = Some(field);
            }
            if line.fields == self.of_server && line.kind.as_deref() == Some(SERVER) {
                break;
            }
        }
        line
    }

    /// Where the field at this place goes; none if nothing is told by it.
    fn target<'l, 't>(&self, line: &'l mut Line<'t>, place: usize) -> Option<&'l mut Option<Cow<'t, str>>> {
        let is = |column: Option<Column>| column.is_some_and(|column| column.place() == place);
        if place == self.name.place() {
            Some(&mut line.name)
        } else if place == self.kind.place() {
            Some(&mut line.kind)
        } else if place == self.backup.place() {
            Some(&mut line.backup)
        } else if is(self.limit) {
            Some(&mut line.limit)
        } else if is(self.cookie) {
            Some(&mut line.cookie)
        } else if is(self.algorithm) {
            Some(&mut line.algorithm)
        } else {
            None
        }
    }
}

impl<'t> Fixed<'t> {
    fn take(&mut self, columns: &Columns, line: Line<'t>, number: usize) -> Result<(), ParseError> {
        let wrong = |column: Column, text: &str| ParseError::value(COMMAND, number, column.name(), text);
        let there =
            |column, field: Option<Cow<'t, str>>| field.ok_or_else(|| wrong(column, "no value at all"));
        let kind = there(columns.kind, line.kind)?;
        let name = there(columns.name, line.name)?;
        match kind.as_ref() {
            BACKEND => {
                let algorithm = line.algorithm.filter(|text| !text.is_empty());
                self.algorithm = self.algorithm.take().or(algorithm);
            }
            SERVER => {
                let count = |text: &str| if text.is_empty() { Ok(0) } else { text.parse::<u32>() };
                let backup = there(columns.backup, line.backup)?;
                let is_backup = count(&backup).map_err(|_| wrong(columns.backup, &backup))? > 0;
                let limit = line.limit.unwrap_or_default();
                let maxconn = match (columns.limit, count(&limit)) {
                    (_, Ok(maxconn)) => NonZeroU32::new(maxconn),
                    (Some(column), Err(_)) => return Err(wrong(column, &limit)),
                    (None, Err(_)) => None,
                };
                let cookie_is_name = line.cookie.is_some_and(|cookie| cookie == name);
                self.servers.push(FixedServer { name, backup: is_backup, maxconn, cookie_is_name });
            }
            "0" | "3" => {}
            _ => return Err(wrong(columns.kind, &kind)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
