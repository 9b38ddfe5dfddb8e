//! `show servers conn`: connections in use, by server (management manual 9.3).

use super::error::ParseError;
use super::table::{Column, Header, Row, read_table};

const COMMAND: &str = "show servers conn";

/// One server's connections. `show servers conn` counts connections, `show stat`'s `scur` counts sessions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerConnections {
    /// The backend's name.
    pub backend: String,
    /// The server's name.
    pub server: String,
    /// Connections that carry something now.
    pub used: u64,
}

struct Columns {
    names: Column,
    used: Column,
}

/// Reads the answer to `show servers conn [<backend>]`.
pub fn parse(text: &str) -> Result<Vec<ServerConnections>, ParseError> {
    read_table(COMMAND, text, 1, Columns::find, Columns::read)
}

impl Columns {
    fn find(header: &Header<'_>) -> Result<Self, ParseError> {
        Ok(Self { names: header.column("bkname/svname")?, used: header.column("used_cur")? })
    }

    fn read(&self, row: &Row<'_, '_>) -> Result<ServerConnections, ParseError> {
        let names = row.text(self.names)?;
        let (backend, server) = names.split_once('/').ok_or_else(|| row.wrong(self.names, names))?;
        Ok(ServerConnections {
            backend: backend.to_owned(),
            server: server.to_owned(),
            used: row.value(self.used)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn connections_are_read_on_2_6_and_3_0() {
        for text in
            [include_str!("fixtures/servers-conn-2.6.txt"), include_str!("fixtures/servers-conn-3.0.txt")]
        {
            let rows = parse(text).unwrap();
            assert_eq!(rows.len(), 10);
            assert_eq!((rows[0].backend.as_str(), rows[0].server.as_str()), ("web", "s1"));
            assert_eq!(rows[8].server, "10.0.0.1:8080");
        }
    }

    #[test]
    fn the_last_column_may_take_several_fields() {
        let text = "# bkname/svname bkid/svid used_cur idle_cur idle_per_thr[2]\nweb/s1 4/1 3 5 2 3\n";
        let rows = parse(text).unwrap();
        assert_eq!(rows[0].used, 3);
    }

    #[test]
    fn an_unknown_backend_is_told_from_an_empty_one() {
        let error = parse("Can't find backend.\n").unwrap_err();
        assert!(matches!(error, ParseError::Refused { .. }), "{error}");
        assert_eq!(parse("# bkname/svname bkid/svid used_cur idle_cur\n"), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in "(?s).*") {
            let _read = parse(&text);
            let _read = parse(&format!("# bkname/svname bkid/svid used_cur idle_cur\n{text}"));
        }
    }
}
