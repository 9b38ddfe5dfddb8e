//! A plain client of HAProxy's CLI sockets, on purpose without any code of Roster's own client.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Haproxy, HaproxyError};
use crate::wait::{Poll, wait_until};

/// A healthy HAProxy answers within milliseconds; a paused one does not, and a test may well ask it.
const ANSWER_CAP: Duration = Duration::from_secs(5);

/// A command did not get its answer.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The socket.
    #[error("{command:?} on {socket:?}")]
    Io {
        /// The command.
        command: String,
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An answer without what was looked for.
    #[error("{command:?} answered {answer:?}")]
    Unexpected {
        /// The command.
        command: String,
        /// The answer.
        answer: String,
    },
}

/// What `show proc` of a master tells.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct MasterReport {
    pub(super) reloads: u32,
    pub(super) failed: u32,
    pub(super) workers: Vec<u32>,
}

impl Haproxy {
    /// Sends one line to the stats socket and returns the whole answer. Several commands go with `;` between them.
    pub fn cli(&self, line: &str) -> Result<String, HaproxyError> {
        self.cli_within(line, ANSWER_CAP)
    }

    /// [`Haproxy::cli`] with a cap of one's own, for a HAProxy that is expected not to answer.
    pub fn cli_within(&self, line: &str, cap: Duration) -> Result<String, HaproxyError> {
        Ok(exchange(&self.socket(), line, cap)?)
    }

    /// Sends one line to the master's CLI. A refused connection is tried again: a master that re-executes itself
    /// refuses some for a moment.
    pub fn master_cli(&self, line: &str) -> Result<String, HaproxyError> {
        let socket = self.master_socket();
        let answered = wait_until(ANSWER_CAP, "the master's CLI", || match cli_at(&socket, line) {
            Err(CliError::Io { source, .. }) if source.kind() == ErrorKind::ConnectionRefused => {
                Poll::Pending(source.to_string())
            }
            other => Poll::Ready(other),
        })?;
        Ok(answered?)
    }
}

/// Sends one line to any CLI socket and returns the whole answer.
pub fn cli_at(socket: &Path, line: &str) -> Result<String, CliError> {
    exchange(socket, line, ANSWER_CAP)
}

fn exchange(socket: &Path, line: &str, cap: Duration) -> Result<String, CliError> {
    let answer = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(cap))?;
        stream.set_write_timeout(Some(cap))?;
        stream.write_all(format!("{line}\n").as_bytes())?;
        // The master keeps a connection open until its client is done.
        stream.shutdown(Shutdown::Write)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    answer().map_err(|source| CliError::Io { command: line.to_owned(), socket: socket.to_owned(), source })
}

/// The value of a `Name: value` line, as in `show info`.
pub(super) fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// Reads `show proc` (management manual, section 9.4): the master's line and the lines between "# workers" and the
/// next heading.
pub(super) fn master_report(text: &str) -> Option<MasterReport> {
    let mut report = None;
    let mut in_workers = false;
    for line in text.lines() {
        if line.starts_with('#') {
            in_workers = line.starts_with("# workers");
            continue;
        }
        let mut words = line.split_whitespace();
        let (Some(pid), Some(kind)) = (words.next(), words.next()) else { continue };
        match (kind, &mut report) {
            ("master", _) => {
                let reloads = words.next()?.parse().ok()?;
                let failed = words.nth(1)?.trim_end_matches(']').parse().ok()?;
                report = Some(MasterReport { reloads, failed, workers: Vec::new() });
            }
            ("worker", Some(report)) if in_workers => report.workers.push(pid.parse().ok()?),
            _ => {}
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn current_workers_are_told_from_old_ones() {
        let text = "\
#<PID>          <type>          <reloads>       <uptime>        <version>
11489           master          2 [failed: 1]   0d00h00m04s     2.6.12-1+deb12u4
# workers
11669           worker          0               0d00h00m01s     2.6.12-1+deb12u4
# old workers
11493           worker          1               0d00h00m04s     2.6.12-1+deb12u4
# programs
";
        assert_eq!(master_report(text), Some(MasterReport { reloads: 2, failed: 1, workers: vec![11669] }));
    }
}
