//! One connection to the Runtime API, for one list of commands.
//!
//! Invariants:
//! - A session is never kept: a connection held over a reload stays with the old process, and 3.x closes an idle one.
//! - `prompt` goes first. Without it 3.x carries out only the first of several lines, silently.
//! - Never more than a window of unanswered lines is under way: 3.2.0 hangs when its buffer is full of them (its later
//!   fix: "Report inbuf is no longer full when a line is consumed").
//! - Answers belong to commands by their order alone. `quit` goes last, and anything that comes before the end of the
//!   stream but is not the answer to a command makes all answers void.
//! - Sending and receiving go on at the same time, so full buffers on both sides stop nobody.
//! - Every wait has a limit, and dropping the future closes the connection. Commands that HAProxy has received by
//!   then are still carried out.

mod error;
mod lines;
mod split;

use std::io::ErrorKind;
use std::pin::pin;
use std::time::Duration;

use roster_haproxy::cli::{Command, Reply};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

pub use self::error::{Break, Progress, SessionError};
pub(super) use self::lines::Lines;
use self::split::Splitter;
use super::socket::{Connection, SocketAddress};
use crate::trace;

/// `severity-output` on the `stats socket` line would put `[3]: ` before each answer.
const OPENING: [&[u8]; 2] = [b"prompt\n", b"set severity-output none\n"];
const CLOSING: &[u8] = b"quit\n";
/// What the master's CLI puts before everything.
const MASTER_PROMPT: &[u8] = b"master> ";
/// What HAProxy puts before each line of a payload.
const PAYLOAD_PROMPT: &str = "+ ";
/// Bytes of unanswered lines: half of the 16,384 that HAProxy's buffer has by default. One longer line goes alone.
const WINDOW: usize = 8_192;
/// So many answers are not waited for one by one: HAProxy gives each by itself, and being woken for each costs both sides
/// as much as the command does.
const MANY: usize = 64;
/// How long HAProxy is left alone with that many commands, in which it does about as many.
const BREATHER: Duration = Duration::from_millis(1);
/// As much as a socket usually holds.
const CHUNK: usize = 64 * 1024;

/// What a session may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Time to connect.
    pub connect: Duration,
    /// Time until the first answer begins: the system takes connections also for a HAProxy that is stopped.
    pub first: Duration,
    /// Time between two pieces of an answer. A healthy HAProxy needs milliseconds.
    pub progress: Duration,
    /// Time for everything, connections included.
    pub total: Duration,
    /// Bytes of one command. HAProxy's buffer (`tune.bufsize`, 16,384 by default) is shared with its line break.
    pub line: usize,
    /// Bytes of one answer.
    pub answer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first: Duration::from_secs(3),
            progress: Duration::from_secs(10),
            total: Duration::from_mins(2),
            line: 15_000,
            answer: 64 * 1024 * 1024,
        }
    }
}

/// Carries commands out over a connection of their own and returns an answer for each.
///
/// It does not ask which process answers, nor whether an address was taken over before the next command: for anything
/// but questions use [`Batch`](super::batch::Batch).
pub async fn run(
    address: &SocketAddress,
    limits: &Limits,
    commands: &[Command],
) -> Result<Vec<Reply>, SessionError> {
    let lines = Lines::write(commands, limits.line)?;
    let mut progress = Progress::none(commands.len());
    let mut session = Session::open(address, limits, Instant::now() + limits.total).await?;
    session.greet(&[], progress).await?;
    let replies = session.ask(&lines.all(), &mut progress).await?;
    session.close(progress).await?;
    Ok(replies)
}

/// A connection and what was received on it.
pub(super) struct Session<'a> {
    address: &'a SocketAddress,
    limits: &'a Limits,
    deadline: Instant,
    connection: Connection,
    splitter: Splitter,
    /// The longest silence.
    patience: Duration,
}

impl<'a> Session<'a> {
    pub(super) async fn open(
        address: &'a SocketAddress,
        limits: &'a Limits,
        deadline: Instant,
    ) -> Result<Self, SessionError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let connection = address.connect(limits.connect.min(left)).await?;
        let patience = limits.first.min(limits.progress);
        Ok(Self { address, limits, deadline, connection, splitter: Splitter::default(), patience })
    }

    /// Switches the prompt on, makes sure that HAProxy is there, and returns the answers to `questions`. If it fails
    /// none of the caller's commands was sent.
    pub(super) async fn greet(
        &mut self,
        questions: &[&[u8]],
        progress: Progress,
    ) -> Result<Vec<Reply>, SessionError> {
        let mut replies = Vec::with_capacity(OPENING.len() + questions.len());
        let lines = [&OPENING, questions].concat();
        let exchanged = self.exchange_all(&lines, &mut replies, &mut Progress::none(0)).await;
        let pending = self.splitter.pending();
        if replies.is_empty() && pending.starts_with(MASTER_PROMPT) {
            return Err(SessionError::MasterSocket(self.address.clone()));
        }
        let answers = replies.split_off(replies.len().min(OPENING.len()));
        let spoke = replies.iter().map(Reply::text).find(|text| !text.is_empty());
        let stranger = spoke.map(str::to_owned).or_else(|| {
            (replies.is_empty() && !pending.is_empty()).then(|| String::from_utf8_lossy(pending).into_owned())
        });
        if let Some(said) = stranger {
            let begins = said.chars().take(80).collect();
            return Err(SessionError::NotHaproxy { socket: self.address.clone(), begins });
        }
        exchanged.map_err(|cause| self.broken(cause, progress))?;
        self.patience = self.limits.progress;
        Ok(answers)
    }

    /// Sends lines and returns an answer for each. What was sent and answered is added to `progress`.
    pub(super) async fn ask(
        &mut self,
        lines: &[&[u8]],
        progress: &mut Progress,
    ) -> Result<Vec<Reply>, SessionError> {
        let mut replies = Vec::with_capacity(lines.len());
        let exchanged = self.exchange_all(lines, &mut replies, progress).await;
        exchanged.map_err(|cause| self.broken(cause, *progress))?;
        Ok(lines.iter().zip(replies).map(|(line, reply)| without_prompts(line, reply)).collect())
    }

    /// Ends the session; an error if an answer is left over.
    pub(super) async fn close(mut self, progress: Progress) -> Result<(), SessionError> {
        // If it cannot be written HAProxy has closed, which is all that is wanted.
        let _written = timeout_at(self.deadline, self.connection.write.write_all(CLOSING)).await;
        loop {
            if !self.splitter.pending().is_empty() {
                return Err(self.out_of_step(progress));
            }
            let Self { connection, splitter, limits, deadline, patience, .. } = &mut self;
            match receive(&mut connection.read, splitter, limits, *patience, *deadline).await {
                Ok(()) => {}
                Err(Break::Closed { .. }) => return Ok(()),
                Err(cause) => return Err(self.broken(cause, progress)),
            }
        }
    }

    pub(super) fn out_of_step(&self, progress: Progress) -> SessionError {
        SessionError::OutOfStep { socket: self.address.clone(), progress }
    }

    fn broken(&self, cause: Break, progress: Progress) -> SessionError {
        SessionError::Broken { socket: self.address.clone(), cause, progress }
    }

    async fn exchange_all(
        &mut self,
        lines: &[&[u8]],
        replies: &mut Vec<Reply>,
        progress: &mut Progress,
    ) -> Result<(), Break> {
        let first = replies.len();
        let exchanged = self.exchange_windows(lines, replies, progress).await;
        let answers = replies.iter().skip(first).map(Reply::text);
        trace::exchanged(self.address, lines, answers);
        exchanged
    }

    async fn exchange_windows(
        &mut self,
        lines: &[&[u8]],
        replies: &mut Vec<Reply>,
        progress: &mut Progress,
    ) -> Result<(), Break> {
        let mut lines = lines.iter().peekable();
        let mut window = Vec::with_capacity(WINDOW);
        while lines.peek().is_some() {
            window.clear();
            let before = replies.len();
            let mut wanted = before;
            while let Some(line) =
                lines.next_if(|line| window.is_empty() || window.len() + line.len() <= WINDOW)
            {
                window.extend_from_slice(line);
                wanted += 1;
            }
            progress.sent += wanted - before;
            let exchanged = self.exchange(&window, wanted, replies).await;
            progress.answered += replies.len() - before;
            exchanged?;
        }
        Ok(())
    }

    /// Sends and receives at once until there are `wanted` answers. Those that came before a failure are in `replies`.
    async fn exchange(&mut self, lines: &[u8], wanted: usize, replies: &mut Vec<Reply>) -> Result<(), Break> {
        let Self { limits, deadline, connection, splitter, patience, .. } = self;
        let mut receiving = pin!(async {
            while replies.len() < wanted {
                if let Some(reply) = splitter.next_reply() {
                    replies.push(reply);
                    continue;
                }
                if wanted - replies.len() > MANY {
                    tokio::time::sleep(BREATHER).await;
                }
                receive(&mut connection.read, splitter, limits, *patience, *deadline).await?;
            }
            Ok::<(), Break>(())
        });
        let mut sending = pin!(timeout_at(*deadline, connection.write.write_all(lines)));
        let (mut received, mut sent) = (false, false);
        while !(received && sent) {
            tokio::select! {
                done = &mut receiving, if !received => {
                    done?;
                    received = true;
                }
                done = &mut sending, if !sent => {
                    // If HAProxy closed, what it answered until then is still worth reading: the other branch
                    // comes to the end of it.
                    let _written = done.map_err(|_| Break::TooSlow(limits.total))?;
                    sent = true;
                }
            }
        }
        Ok(())
    }
}

/// HAProxy asks for each line of a payload with a prompt of its own, and its answer comes behind them.
fn without_prompts(line: &[u8], reply: Reply) -> Reply {
    let has_payload = line.strip_suffix(b"\n").is_some_and(|line| line.contains(&b'\n'));
    if has_payload { Reply::new(reply.text().trim_start_matches(PAYLOAD_PROMPT).to_owned()) } else { reply }
}

async fn receive(
    read: &mut (impl AsyncRead + Unpin),
    splitter: &mut Splitter,
    limits: &Limits,
    patience: Duration,
    deadline: Instant,
) -> Result<(), Break> {
    if splitter.pending().len() > limits.answer {
        return Err(Break::AnswerTooLong(limits.answer));
    }
    let until = Instant::now() + patience;
    let buffer = splitter.buffer();
    buffer.reserve(CHUNK);
    match timeout_at(until.min(deadline), read.read_buf(buffer)).await {
        Ok(Ok(0)) => Err(Break::Closed { within_answer: !splitter.pending().is_empty() }),
        Ok(Ok(_)) => Ok(()),
        // It closed before it had read all that was sent.
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => {
            Err(Break::Closed { within_answer: !splitter.pending().is_empty() })
        }
        Ok(Err(error)) => Err(Break::Io(error)),
        Err(_) if until < deadline => Err(Break::Silent(patience)),
        Err(_) => Err(Break::TooSlow(limits.total)),
    }
}
