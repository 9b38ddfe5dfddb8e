//! Notes about servers that a HAProxy process keeps for whoever asks: process-wide variables (management manual 9.3). They
//! end with the process, and say nothing to HAProxy itself.
//!
//! Measured on 2.6.12, 2.8.25, 3.0.11 and 3.2.26: `set var` wants `experimental-mode on` before it on the same connection,
//! and from then on `show info` says `Tainted: 0x8`; `get var` wants nothing.

use std::fmt::{self, Write};

use super::ServerPath;

/// A command about a note.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum NoteCommand {
    /// `experimental-mode on`: this connection may leave notes.
    Allow,
    /// `set var … expr str(…)`.
    Set {
        /// About which server.
        server: ServerPath,
        /// What to keep; nothing takes the note back.
        note: Note,
    },
    /// `get var …`.
    Get(ServerPath),
}

/// Bytes, as text that no line of HAProxy's can take for anything else.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Note(Box<str>);

impl Note {
    /// A note of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            // Writing to memory cannot fail.
            write!(text, "{byte:02x}").ok();
        }
        Self(text.into())
    }

    /// The bytes in the answer to [`NoteCommand::Get`]: `NAME: type=str value=<…>`. None where there is no note.
    pub fn read(answer: &str) -> Option<Vec<u8>> {
        let text = answer.trim().split_once(": type=str value=<")?.1.strip_suffix('>')?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        bytes.collect::<Option<Vec<u8>>>().filter(|bytes| !bytes.is_empty())
    }
}

impl NoteCommand {
    /// True if it only asks.
    pub(super) fn is_query(&self) -> bool {
        matches!(self, Self::Get(_))
    }
}

impl fmt::Display for NoteCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("experimental-mode on"),
            Self::Set { server, note } => {
                f.write_str("set var ")?;
                write_name(f, server)?;
                write!(f, " expr str({})", note.0)
            }
            Self::Get(server) => {
                f.write_str("get var ")?;
                write_name(f, server)
            }
        }
    }
}

/// `proc.roster.BACKEND.SERVER`. A variable's name has letters, digits, `_` and `.`; any other byte, and `_` and `.`
/// themselves, are `_` and two digits.
fn write_name(f: &mut fmt::Formatter<'_>, server: &ServerPath) -> fmt::Result {
    f.write_str("proc.roster")?;
    for part in [server.backend.as_str(), server.server.as_str()] {
        f.write_char('.')?;
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "_{byte:02x}")?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(backend: &str, server: &str) -> ServerPath {
        ServerPath { backend: backend.parse().unwrap(), server: server.parse().unwrap() }
    }

    #[test]
    fn a_note_is_one_word_under_a_name_that_two_servers_never_share() {
        let set = |server| NoteCommand::Set { server, note: Note::new(b"{\"a\":1}") }.to_string();
        assert_eq!(set(path("web", "srv1")), "set var proc.roster.web.srv1 expr str(7b2261223a317d)");
        let names =
            [path("a", "b_2e"), path("a", "b."), path("a.b", "c"), path("a", "b.c"), path("a_2eb", "c")];
        let names: std::collections::BTreeSet<String> = names.into_iter().map(set).collect();
        assert_eq!(names.len(), 5, "{names:?}");
        assert_eq!(
            NoteCommand::Get(path("web-1", "10.0.0.1:80")).to_string(),
            "get var proc.roster.web_2d1.10_2e0_2e0_2e1_3a80"
        );
    }

    #[test]
    fn what_is_no_note_is_none() {
        for answer in [
            "Variable not found.",
            "",
            "proc.x: type=str value=<>",
            "proc.x: type=str value=<xy>",
            "proc.x: type=str value=<123>",
            "proc.x: type=sint value=<12>",
        ] {
            assert_eq!(Note::read(answer), None, "{answer}");
        }
    }

    proptest! {
        #[test]
        fn what_was_noted_is_read_back(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
            let note = Note::new(&bytes);
            prop_assert!(note.0.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            let answer = format!("proc.roster.web.srv1: type=str value=<{}>\n", note.0);
            prop_assert_eq!(Note::read(&answer), Some(bytes));
        }
    }
}
