//! Commands as they are sent.

use std::fmt::{self, Write as _};

use roster_haproxy::cli::Command;

use super::error::SessionError;

/// Each command on a line of its own, with its payload behind it. There may be private keys among them.
pub(in crate::runtime) struct Lines {
    text: String,
    /// Where each command ends, its last line break included.
    ends: Vec<usize>,
}

impl Lines {
    /// Writes the commands, unless one of them is longer than `limit` bytes.
    pub(in crate::runtime) fn write(commands: &[Command], limit: usize) -> Result<Self, SessionError> {
        let mut text = String::with_capacity(commands.len() * 64);
        let mut ends = Vec::with_capacity(commands.len());
        for (number, command) in (1..).zip(commands) {
            let begin = text.len();
            // Writing to memory cannot fail; were it to, the line is empty and HAProxy says that it is no command.
            let _written = writeln!(text, "{command}");
            if let Some(payload) = command.payload() {
                // An empty line ends it.
                text.extend([&*payload, "\n"]);
            }
            let length = text.len().saturating_sub(begin + 1);
            if length > limit {
                let begins = command.to_string().chars().take(80).collect();
                return Err(SessionError::LineTooLong { number, length, limit, begins });
            }
            ends.push(text.len());
        }
        Ok(Self { text, ends })
    }

    /// The line of the command at this place.
    pub(in crate::runtime) fn line(&self, place: usize) -> &[u8] {
        let end = self.ends.get(place).copied().unwrap_or(0);
        let begin = place.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.text.as_bytes().get(begin..end).unwrap_or_default()
    }

    /// All lines, in order.
    pub(in crate::runtime) fn all(&self) -> Vec<&[u8]> {
        (0..self.ends.len()).map(|place| self.line(place)).collect()
    }
}

/// How many, not what.
impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("commands", &self.ends.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use roster_haproxy::cli::ServerPath;
    use roster_haproxy::cli::command::{CrtLine, FileCommand};
    use roster_haproxy::name::{BackendName, ServerName};
    use roster_haproxy::render::FilePath;

    use super::*;
    use crate::runtime::session::Limits;

    fn delete(server: &str) -> Command {
        let backend = BackendName::new("web").unwrap();
        Command::DelServer(ServerPath { backend, server: ServerName::new(server).unwrap() })
    }

    #[test]
    fn each_command_is_one_line() {
        let lines = Lines::write(&[Command::ShowInfo, delete("s1")], 100).unwrap();
        assert_eq!(lines.all(), [b"show info\n".as_slice(), b"del server web/s1\n"]);
        assert_eq!((lines.line(1), lines.line(2)), (b"del server web/s1\n".as_slice(), b"".as_slice()));
        assert_eq!(Lines::write(&[], 100).unwrap().all().len(), 0);
    }

    #[test]
    fn a_payload_ends_with_an_empty_line_and_is_in_no_error() {
        let list = FilePath::new("/l").unwrap();
        let line = CrtLine::new("/etc/secret.pem", ["a.org"]).unwrap();
        let commands = [Command::Files(FileCommand::AddCrtList { list, line }), Command::ShowInfo];
        let lines = Lines::write(&commands, 100).unwrap();
        let first = b"add ssl crt-list /l <<\n/etc/secret.pem a.org\n\n".as_slice();
        assert_eq!(lines.all(), [first, b"show info\n"]);
        let error = Lines::write(&commands, first.len() - 2).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn the_limit_is_the_length_without_the_line_break() {
        let command = delete("s1");
        let length = command.to_string().len();
        assert!(Lines::write(std::slice::from_ref(&command), length).is_ok());
        let error = Lines::write(&[Command::ShowInfo, command], length - 1).unwrap_err();
        assert!(matches!(error, SessionError::LineTooLong { number: 2, .. }), "{error}");
    }

    #[test]
    fn the_default_limit_leaves_room_in_haproxys_buffer() {
        assert!(Limits::default().line < 16_384 - 1_024);
    }
}
