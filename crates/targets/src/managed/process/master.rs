//! Talking to a master on its CLI socket (management manual 9.4).
//!
//! One command goes over one connection, which is half-closed after it: a master keeps a connection open otherwise. A
//! master executes itself anew for a reload, and once after it started; it refuses or resets connections meanwhile, so
//! each question is asked again until its time is up.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::show_proc::Processes;
use crate::trace;

/// Between two questions.
const INTERVAL: Duration = Duration::from_millis(20);
/// A longer answer than any that is asked for, the log of a reload included.
const ANSWER: u64 = 4 * 1024 * 1024;
/// What a master of 3.1 and later answers to `reload` while a worker still reads its file, after a start too (measured on
/// 3.2). Nothing was reloaded then.
const BUSY: &str = "Another reload is still in progress";

/// Why a master's CLI gave no answer.
#[derive(Debug, Error)]
pub enum MasterError {
    /// No connection, or it broke.
    #[error("the master socket {socket} does not answer; check that a HAProxy with `-W -S {socket}` runs")]
    Io {
        /// Where.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Silence.
    #[error("the master socket {socket} gave no answer within {after:?}; HAProxy is paused or overloaded")]
    Silent {
        /// Where.
        socket: PathBuf,
        /// The limit.
        after: Duration,
    },
    /// A worker does not become ready.
    #[error("the master at {socket} refuses a reload for {after:?}: a worker still reads its file")]
    Busy {
        /// Where.
        socket: PathBuf,
        /// The limit.
        after: Duration,
    },
    /// Something else than a master.
    #[error(
        "{socket} does not answer as a master does ({begins:?}); it must be the one of `haproxy -W -S`, not a stats socket"
    )]
    NotAMaster {
        /// Where.
        socket: PathBuf,
        /// The answer's beginning.
        begins: String,
    },
}

/// What became of a reload.
#[derive(Debug)]
pub(super) struct Outcome {
    /// The worker that served before.
    pub(super) former: Option<u32>,
    /// What the master shows afterwards.
    pub(super) after: Processes,
    /// Whether the new file was taken.
    pub(super) is_good: bool,
    /// What HAProxy said with it (2.7 and later).
    pub(super) said: String,
}

/// A master's socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Master<'a> {
    pub(super) socket: &'a Path,
    /// How long to ask for an answer that a healthy one gives in milliseconds.
    pub(super) limit: Duration,
}

impl Master<'_> {
    /// What it shows of its processes.
    pub(super) async fn show_proc(self) -> Result<Processes, MasterError> {
        let deadline = Instant::now() + self.limit;
        loop {
            let error = match self.ask("show proc", deadline).await {
                Ok(text) if text.is_empty() => self.io(io::ErrorKind::UnexpectedEof.into()),
                Ok(text) => {
                    return Processes::parse(&text).ok_or_else(|| MasterError::NotAMaster {
                        socket: self.socket.to_owned(),
                        begins: text.chars().take(80).collect(),
                    });
                }
                Err(error) => error,
            };
            if Instant::now() + INTERVAL >= deadline {
                return Err(error);
            }
            sleep(INTERVAL).await;
        }
    }

    /// Whether nobody listens here at this moment.
    pub(super) async fn refuses(self) -> bool {
        let connected = timeout(self.limit, UnixStream::connect(self.socket)).await;
        matches!(connected, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Waits until this process is the master here and a worker of it serves. From 3.1 on a worker is listed before it
    /// has read its file, so it is asked itself. Never returns otherwise.
    pub(super) async fn until_serving(self, master: u32) -> u32 {
        loop {
            if let Ok(all) = self.show_proc().await
                && all.master == master
                && let Some(worker) = all.worker()
                && self.serves(worker).await
            {
                return worker;
            }
            sleep(INTERVAL).await;
        }
    }

    /// Tells it to reload, and waits at most `limit` for what comes of it.
    pub(super) async fn reload(self, limit: Duration) -> Result<Outcome, MasterError> {
        let deadline = Instant::now() + limit;
        let (before, said) = loop {
            let before = self.show_proc().await?;
            match self.ask("reload", deadline).await {
                // The master has not got it: another reload goes on.
                Err(MasterError::Io { source, .. })
                    if source.kind() == io::ErrorKind::ConnectionRefused && Instant::now() < deadline => {}
                Ok(said) if said.contains(BUSY) && Instant::now() < deadline => {}
                Ok(said) if said.contains(BUSY) => {
                    return Err(MasterError::Busy { socket: self.socket.to_owned(), after: limit });
                }
                // 2.6 gives no answer and resets the connection, so that is no failure.
                other => break (before, other.unwrap_or_default()),
            }
            sleep(INTERVAL).await;
        };
        let (verdict, said) = verdict(&said);
        loop {
            let after = self.show_proc().await;
            match after {
                Ok(after) if after.reloads != before.reloads => {
                    let is_good = verdict.unwrap_or(after.failed == 0);
                    return Ok(Outcome { former: before.worker(), after, is_good, said });
                }
                Err(error) if Instant::now() >= deadline => return Err(error),
                Ok(_) if Instant::now() >= deadline => {
                    return Err(MasterError::Silent { socket: self.socket.to_owned(), after: limit });
                }
                _ => sleep(INTERVAL).await,
            }
        }
    }

    async fn serves(self, worker: u32) -> bool {
        let info = self.ask(&format!("@!{worker} show info"), Instant::now() + self.limit).await;
        let own = format!("Pid: {worker}");
        info.is_ok_and(|info| info.lines().any(|line| line == own))
    }

    async fn ask(self, command: &str, deadline: Instant) -> Result<String, MasterError> {
        let answer = async {
            let mut stream = timeout(self.limit, UnixStream::connect(self.socket)).await??;
            stream.write_all(format!("{command}\n").as_bytes()).await?;
            stream.shutdown().await?;
            let mut answer = Vec::new();
            stream.take(ANSWER).read_to_end(&mut answer).await?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&answer).trim().to_owned())
        };
        let answered = timeout_at(deadline, answer).await;
        let said = answered.iter().flatten().map(String::as_str);
        trace::exchanged(&self.socket.display(), &[command.as_bytes()], said);
        match answered {
            Ok(answered) => answered.map_err(|source| self.io(source)),
            Err(_) => Err(MasterError::Silent { socket: self.socket.to_owned(), after: self.limit }),
        }
    }

    fn io(self, source: io::Error) -> MasterError {
        MasterError::Io { socket: self.socket.to_owned(), source }
    }
}

/// The first line of the answer to `reload` and what HAProxy said while it loaded (2.7 and later).
fn verdict(answer: &str) -> (Option<bool>, String) {
    let (first, said) = answer.split_once('\n').unwrap_or((answer, ""));
    let verdict = match first.trim() {
        "Success=1" => Some(true),
        "Success=0" => Some(false),
        _ => None,
    };
    (verdict, said.trim_start_matches("--").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_is_read_from_the_first_line_and_unknown_on_2_6() {
        assert_eq!(verdict("Success=1\n--\n[NOTICE] (1) : x"), (Some(true), "[NOTICE] (1) : x".to_owned()));
        assert_eq!(verdict("Success=0\n--\n[ALERT] (1) : x").0, Some(false));
        assert_eq!(verdict("Success=1"), (Some(true), String::new()));
        assert_eq!(verdict(""), (None, String::new()));
    }
}
