mod certificates;
mod crt_lists;
mod maps;

use super::*;
use crate::cli::command::FileCommand;

fn path(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}

/// Blocks that nobody serves.
fn pem(leaf: &str, chain: usize) -> Pem {
    let chain = "-----BEGIN CERTIFICATE-----\nQ0hBSU4=\n-----END CERTIFICATE-----\n".repeat(chain);
    let text = format!(
        "-----BEGIN CERTIFICATE-----\n{leaf}\n-----END CERTIFICATE-----\n{chain}\
         -----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n"
    );
    Pem::new(&text).unwrap()
}

fn lines(commands: &[FileCommand]) -> Vec<String> {
    commands.iter().map(ToString::to_string).collect()
}

#[test]
fn what_only_shows_is_a_query_and_every_line_reads_as_the_manual_writes_it() {
    use crate::cli::Command;
    use crate::cli::command::{CrtLine, MapVersion, MapWord};

    let at = || path("/etc/x");
    let word = |text: &str| MapWord::new(text).unwrap();
    let line = CrtLine::new("/a.pem", ["*.a.org", "!b.a.org"]).unwrap();
    for (command, text) in [
        (FileCommand::ShowMap(at()), "show map /etc/x"),
        (FileCommand::SetMap { map: at(), key: word("/k"), value: word("v") }, "set map /etc/x /k v"),
        (FileCommand::DelMap { map: at(), key: word("/k") }, "del map /etc/x /k"),
        (FileCommand::DelMapEntry { map: at(), reference: 0xa1 }, "del map /etc/x #0xa1"),
        (FileCommand::CommitMap { map: at(), version: MapVersion(2) }, "commit map @2 /etc/x"),
        (FileCommand::ShowSslCerts, "show ssl cert"),
        (FileCommand::ShowSslCert(at()), "show ssl cert /etc/x"),
        (FileCommand::SetSslCert { certificate: at(), pem: pem("bGVhZg==", 0) }, "set ssl cert /etc/x <<"),
        (FileCommand::ShowCrtList(at()), "show ssl crt-list -n /etc/x"),
        (FileCommand::AddCrtList { list: at(), line }, "add ssl crt-list /etc/x <<"),
        (
            FileCommand::DelCrtList { list: at(), certificate: path("/a.pem"), line: 4 },
            "del ssl crt-list /etc/x /a.pem:4",
        ),
    ] {
        assert_eq!(command.to_string(), text);
        assert_eq!(command.payload().is_some(), text.ends_with("<<"), "{text}");
        assert_eq!(Command::Files(command).is_query(), text.starts_with("show "), "{text}");
    }
    for hostile in ["", "a b", "a;b", "a\\", "a\n", "a\0", "#1", "<<", "a\"", "ü", "$A", "a\tb"] {
        assert!(MapWord::new(hostile).is_err(), "{hostile:?}");
        assert!(
            CrtLine::new("/a.pem", [hostile]).is_err() && CrtLine::new(hostile, []).is_err(),
            "{hostile:?}"
        );
    }
}
