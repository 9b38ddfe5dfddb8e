//! What `show stat` says of a backend that stays as it is while the process lives. Of each line only the fields that
//! tell it are read: a line has a hundred, and a HAProxy may have ten thousand lines.

use std::borrow::Cow;

use super::{COMMAND, StatKind, kind_of};
use crate::haproxy::csv::{Record, next_record};
use crate::haproxy::error::ParseError;
use crate::haproxy::table::{Column, Header};

/// What no command changes on a backend whose servers stay the same.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fixed<'t> {
    /// The balance algorithm; level operator or admin only (`algo`).
    pub algorithm: Option<Cow<'t, str>>,
    /// Its servers that are `backup` (`bck`).
    pub backups: Vec<Cow<'t, str>>,
}

struct Columns {
    name: Column,
    kind: Column,
    backup: Column,
    algorithm: Option<Column>,
    /// So many fields tell all there is to tell of a server.
    of_server: usize,
}

/// The fields of one line that tell something.
#[derive(Default)]
struct Line<'t> {
    fields: usize,
    name: Option<Cow<'t, str>>,
    kind: Option<Cow<'t, str>>,
    backup: Option<Cow<'t, str>>,
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
        let of_server = 1 + name.place().max(kind.place()).max(backup.place());
        Ok(Self { name, kind, backup, algorithm: header.optional("algo"), of_server })
    }

    fn pick<'t>(&self, record: &mut Record<'t>) -> Line<'t> {
        let mut line = Line::default();
        let algorithm = self.algorithm.map(Column::place);
        for field in record {
            let place = line.fields;
            line.fields += 1;
            if place == self.name.place() {
                line.name = Some(field);
            } else if place == self.kind.place() {
                line.kind = Some(field);
            } else if place == self.backup.place() {
                line.backup = Some(field);
            } else if Some(place) == algorithm {
                line.algorithm = Some(field);
            }
            if line.fields == self.of_server && line.kind.as_deref() == Some("2") {
                break;
            }
        }
        line
    }
}

impl<'t> Fixed<'t> {
    fn take(&mut self, columns: &Columns, line: Line<'t>, number: usize) -> Result<(), ParseError> {
        let wrong = |column: Column, text: &str| ParseError::value(COMMAND, number, column.name(), text);
        let there =
            |column, field: Option<Cow<'t, str>>| field.ok_or_else(|| wrong(column, "no value at all"));
        let kind = there(columns.kind, line.kind)?;
        let name = there(columns.name, line.name)?;
        match kind_of(&kind).ok_or_else(|| wrong(columns.kind, &kind))? {
            StatKind::Backend if self.algorithm.is_none() => {
                self.algorithm = line.algorithm.filter(|text| !text.is_empty());
            }
            StatKind::Server => {
                let backup = there(columns.backup, line.backup)?;
                match backup.parse::<u32>() {
                    Ok(0) => {}
                    Ok(_) => self.backups.push(name),
                    Err(_) if backup.is_empty() => {}
                    Err(_) => return Err(wrong(columns.backup, &backup)),
                }
            }
            StatKind::Backend | StatKind::Frontend | StatKind::Listener => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{StatRow, parse};
    use super::*;

    const RECORDED: [&str; 2] =
        [include_str!("../fixtures/stat-2.6.csv"), include_str!("../fixtures/stat-3.0.csv")];

    /// The same, out of everything that the answer says.
    fn whole(rows: &[StatRow]) -> (Option<&str>, Vec<&str>) {
        let backend = rows.iter().find(|row| row.kind == StatKind::Backend);
        let backups = rows.iter().filter(|row| row.kind == StatKind::Server && row.backup > 0);
        (backend.and_then(|row| row.algorithm.as_deref()), backups.map(|row| row.name.as_str()).collect())
    }

    fn picked<'f>(fixed: &'f Fixed<'_>) -> (Option<&'f str>, Vec<&'f str>) {
        (fixed.algorithm.as_deref(), fixed.backups.iter().map(AsRef::as_ref).collect())
    }

    #[test]
    fn algorithm_and_backups_are_read_on_2_6_and_3_0() {
        for text in RECORDED {
            let fixed = fixed(text).unwrap();
            assert_eq!(picked(&fixed), (Some("roundrobin"), vec!["s2", "10.0.0.1:8080"]));
            assert_eq!(picked(&fixed), whole(&parse(text).unwrap()));
        }
    }

    #[test]
    fn at_level_user_the_algorithm_is_unknown_and_the_backups_are_not() {
        for text in [
            include_str!("../fixtures/stat-user-level-2.6.csv"),
            include_str!("../fixtures/stat-user-level-3.0.csv"),
        ] {
            assert_eq!(picked(&fixed(text).unwrap()), (None, vec!["s2", "10.0.0.1:8080"]));
        }
    }

    #[test]
    fn a_column_may_stand_anywhere() {
        let text = "# algo,bck,x,type,svname,\nroundrobin,1,,1,BACKEND,\n,1,,2,s1,\n,0,\"\n\",2,s2,\n";
        assert_eq!(picked(&fixed(text).unwrap()), (Some("roundrobin"), vec!["s1"]));
    }

    #[test]
    fn a_line_break_in_what_a_server_said_makes_no_new_line() {
        let text =
            "# svname,bck,type,last_chk,algo,\ns1,0,2,\"a\ns9,1,2,\"\"x\"\"\",,\nBACKEND,0,1,,first,\n";
        assert_eq!(picked(&fixed(text).unwrap()), (Some("first"), vec![]));
    }

    #[test]
    fn what_cannot_be_read_is_an_error_with_its_line() {
        assert!(matches!(fixed("No such proxy.\n"), Err(ParseError::Refused { .. })));
        assert!(matches!(fixed("# svname,bck,\n"), Err(ParseError::Missing { name: "type", .. })));
        for (line, name) in [("s1,x,2,", "bck"), ("s1,0,9,", "type"), ("s1,0", "type")] {
            let text = format!("# svname,bck,type,\ns0,0,2,\n{line}\n");
            let error = fixed(&text).unwrap_err();
            assert!(matches!(error, ParseError::Value { line: 3, name: n, .. } if n == name), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "(?s).*") {
            let _read = fixed(&text);
            let header = RECORDED[0].lines().next().unwrap();
            let _read = fixed(&format!("{header}\n{text}"));
        }

        #[test]
        fn it_says_what_the_whole_answer_says(
            rows in prop::collection::vec(("[a-z]{1,3}", 0..4_u8, 0..2_u8, "[a\",\n]{0,4}", "[a-z]{0,3}"), 0..8),
        ) {
            let header = "# pxname,svname,qcur,scur,status,weight,act,bck,iid,sid,type,last_chk,algo,\n";
            let line = |(name, kind, backup, said, algorithm): &(String, u8, u8, String, String)| {
                let said = said.replace('"', "\"\"");
                format!("web,{name},0,0,UP,1,1,{backup},4,9,{kind},\"{said}\",{algorithm},\n")
            };
            let text = header.to_owned() + &rows.iter().map(line).collect::<String>();
            let (fixed, rows) = (fixed(&text).unwrap(), parse(&text).unwrap());
            let single = rows.iter().filter(|row| row.kind == StatKind::Backend).count() <= 1;
            prop_assert_eq!(picked(&fixed).1, whole(&rows).1);
            if single {
                prop_assert_eq!(picked(&fixed).0, whole(&rows).0);
            }
        }
    }
}
