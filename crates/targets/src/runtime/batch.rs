//! A list of commands that counts only for one process.
//!
//! Order: `show info`; if that is the right process, the commands in their [rounds](super::rounds) and `show info`
//! again on the same connection; if anything was changed, `show info` on a *new* connection, because the first one
//! would stay with a process that a reload replaced meanwhile. A reload whose new process does not listen yet cannot be
//! seen from here: whoever keeps the target notices the new process at the next look.

mod settle;

use roster_core::applied::ProcessId;
use roster_haproxy::cli::{Command, ProcessInfo, Reply, info};
use tokio::time::Instant;

use self::settle::Failed;
use super::rounds::rounds;
use super::session::{Limits, Lines, Progress, Session, SessionError};
use super::socket::SocketAddress;

const WHO: &[u8] = b"show info\n";

/// Commands and the process that they are meant for.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    commands: &'a [Command],
    expected: Option<ProcessId>,
}

/// What came of a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BatchOutcome {
    /// An answer for each command, in their order.
    pub replies: Vec<Reply>,
    /// The process that carried them out and serves now.
    pub process: ProcessInfo,
}

impl<'a> Batch<'a> {
    /// Commands for whatever process answers.
    pub fn new(commands: &'a [Command]) -> Self {
        Self { commands, expected: None }
    }

    /// The same, but nothing is sent unless this process answers.
    #[must_use]
    pub fn expecting(self, process: ProcessId) -> Self {
        Self { expected: Some(process), ..self }
    }

    /// Carries the commands out. What follows an address or a new server that HAProxy refused is kept back.
    /// An error says whether any command was sent and how many were answered for certain.
    pub async fn run(self, address: &SocketAddress, limits: &Limits) -> Result<BatchOutcome, SessionError> {
        let lines = Lines::write(self.commands, limits.line)?;
        let deadline = Instant::now() + limits.total;
        let mut progress = Progress::none(self.commands.len());
        let mut session = Session::open(address, limits, deadline).await?;
        let before = identify(&mut session, address, progress).await?;
        self.admit(&before, progress)?;

        let replies = self.carry_out(&mut session, &lines, limits, &mut progress).await?;
        let last = session.ask(&[WHO], &mut progress.clone()).await?;
        let text = last.first().map(Reply::text).unwrap_or_default();
        let mut process = info::parse(text).map_err(|_| session.out_of_step(progress))?;
        session.close(progress).await?;
        if !self.commands.iter().all(Command::is_query) {
            process = confirm(address, limits, deadline)
                .await
                .map_err(|source| SessionError::Unconfirmed { progress, source: Box::new(source) })?;
        }
        unchanged(&before, &process, progress)?;
        Ok(BatchOutcome { replies, process })
    }

    fn admit(&self, found: &ProcessInfo, progress: Progress) -> Result<(), SessionError> {
        let process = ProcessId::from(found);
        if found.stopping {
            return Err(SessionError::Stopping { process, progress });
        }
        match self.expected {
            Some(expected) if expected != process => {
                Err(SessionError::OtherProcess { expected, found: process })
            }
            _ => Ok(()),
        }
    }

    /// Round by round, with the addresses read back between them.
    async fn carry_out(
        &self,
        session: &mut Session<'_>,
        lines: &Lines,
        limits: &Limits,
        progress: &mut Progress,
    ) -> Result<Vec<Reply>, SessionError> {
        let mut replies = vec![None; self.commands.len()];
        let mut failed = Failed::default();
        let rounds = rounds(self.commands);
        for (round, is_last) in rounds.iter().zip((0..rounds.len()).rev().map(|left| left == 0)) {
            let said = self.one_round(session, lines, round, &failed, progress).await?;
            if !is_last {
                let answered =
                    said.iter().filter_map(|(place, reply)| Some((self.commands.get(*place)?, reply)));
                failed.judge(session, answered, limits, *progress).await?;
            }
            for (place, reply) in said {
                if let Some(slot) = replies.get_mut(place) {
                    *slot = Some(reply);
                }
            }
        }
        // There is one for each by now.
        Ok(replies.into_iter().flatten().collect())
    }

    /// Sends what has not to be kept back.
    async fn one_round(
        &self,
        session: &mut Session<'_>,
        lines: &Lines,
        round: &[usize],
        failed: &Failed,
        progress: &mut Progress,
    ) -> Result<Vec<(usize, Reply)>, SessionError> {
        let mut said = Vec::with_capacity(round.len());
        let mut places = Vec::with_capacity(round.len());
        for place in round {
            match self.commands.get(*place).and_then(|command| failed.why(command)) {
                Some(why) => said.push((*place, Reply::not_tried(why.to_owned()))),
                None => places.push(*place),
            }
        }
        let lines: Vec<_> = places.iter().map(|place| lines.line(*place)).collect();
        let replies = session.ask(&lines, progress).await?;
        said.extend(places.into_iter().zip(replies));
        Ok(said)
    }
}

/// Asks which process answers, before any command is sent.
async fn identify(
    session: &mut Session<'_>,
    address: &SocketAddress,
    progress: Progress,
) -> Result<ProcessInfo, SessionError> {
    let answers = session.greet(&[WHO], progress).await?;
    let text = answers.first().map(Reply::text).unwrap_or_default();
    info::parse(text).map_err(|source| SessionError::Unidentified { socket: address.clone(), source })
}

/// Asks on a new connection who serves now.
async fn confirm(
    address: &SocketAddress,
    limits: &Limits,
    deadline: Instant,
) -> Result<ProcessInfo, SessionError> {
    let mut session = Session::open(address, limits, deadline).await?;
    identify(&mut session, address, Progress::none(0)).await
}

fn unchanged(before: &ProcessInfo, after: &ProcessInfo, progress: Progress) -> Result<(), SessionError> {
    let (was, is) = (ProcessId::from(before), ProcessId::from(after));
    if was != is {
        return Err(SessionError::ProcessChanged { before: was, after: is, progress });
    }
    if after.stopping {
        return Err(SessionError::Stopping { process: is, progress });
    }
    Ok(())
}
