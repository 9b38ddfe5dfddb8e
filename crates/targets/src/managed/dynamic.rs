//! Backends that a running HAProxy is given (`add backend`, HAProxy 3.4 and later; management manual 9.3).
//!
//! In order: [`add`], then the servers, then [`publish`]; before that no request gets there. All of it can be done
//! again, which is what to do when it is not known how far it came. A new process has these backends from its file,
//! published, so nothing here is undone by a reload.

use std::collections::BTreeSet;

use roster_core::applied::ProcessId;
use roster_haproxy::cli::command::BackendCommand;
use roster_haproxy::cli::{Accepted, Command, ParseError, Refusal, Reply, backends};
use roster_haproxy::name::BackendName;
use roster_haproxy::render::LiveBackend;
use thiserror::Error;

use crate::runtime::batch::{Batch, BatchOutcome};
use crate::runtime::session::{Limits, SessionError};
use crate::runtime::socket::SocketAddress;

/// What HAProxy made of new backends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Added {
    /// The process that has them.
    pub process: ProcessId,
    /// New, and shown by `show backend`.
    pub added: BTreeSet<BackendName>,
    /// There before, whatever they are made of.
    pub existing: BTreeSet<BackendName>,
    /// Not there: they need a reload.
    pub failed: Vec<NotLive>,
    /// What HAProxy has to say of those that it added.
    pub warnings: Vec<(BackendName, String)>,
}

/// What HAProxy made of the wish to send requests to backends.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Published {
    /// Requests get there.
    pub published: BTreeSet<BackendName>,
    /// They do not: these need a reload.
    pub failed: Vec<NotLive>,
}

/// A backend that needs a reload.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("backend {backend} comes by a reload, because {why}")]
pub struct NotLive {
    /// Which one.
    pub backend: BackendName,
    /// What was in the way.
    pub why: Why,
}

/// What keeps a backend from coming live.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Why {
    /// HAProxy said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// HAProxy said yes, but does not have it.
    #[error("HAProxy said that it was added, but does not show it")]
    NotShown,
}

/// Why it is not known what HAProxy has. Do it again, or reload.
#[derive(Debug, Error)]
pub enum DynamicError {
    /// The commands did not get through.
    #[error("HAProxy could not be given new backends: {0}")]
    Session(#[from] SessionError),
    /// An answer that is none.
    #[error("HAProxy does not tell its backends; check that the `stats socket` line has `level admin`: {0}")]
    Unreadable(#[from] ParseError),
}

/// Adds backends, without servers and unpublished. `live` is what [`live_backends`] found of this process.
///
/// An error is about all of them; that some were refused is told in [`Added::failed`].
///
/// [`live_backends`]: roster_haproxy::render::Structure::live_backends
pub async fn add(
    socket: &SocketAddress,
    limits: &Limits,
    live: &[LiveBackend],
) -> Result<Added, DynamicError> {
    let before = Batch::new(&[Command::ShowBackend]).run(socket, limits).await?;
    let process = ProcessId::from(&before.process);
    let there = shown(before.replies.last())?;
    let (old, new): (Vec<_>, Vec<_>) = live.iter().partition(|backend| there.contains(backend.name.as_str()));
    let mut added = Added {
        process,
        added: BTreeSet::new(),
        existing: old.into_iter().map(|backend| backend.name.clone()).collect(),
        failed: Vec::new(),
        warnings: Vec::new(),
    };
    if new.is_empty() {
        return Ok(added);
    }
    let mut commands: Vec<Command> = new.into_iter().map(add_command).collect();
    commands.push(Command::ShowBackend);
    let BatchOutcome { replies, .. } = Batch::new(&commands).expecting(process).run(socket, limits).await?;
    let there = shown(replies.last())?;
    for (command, reply) in commands.iter().zip(&replies) {
        if let Command::Backend(BackendCommand::Add { backend, .. }) = command {
            added.judge(backend, reply.verdict(command), there.contains(backend.as_str()));
        }
    }
    Ok(added)
}

/// Lets requests get to backends, once their servers are there.
pub async fn publish(
    socket: &SocketAddress,
    limits: &Limits,
    backends: &BTreeSet<BackendName>,
) -> Result<Published, DynamicError> {
    let mut outcome = Published { published: BTreeSet::new(), failed: Vec::new() };
    if backends.is_empty() {
        return Ok(outcome);
    }
    let publish = |backend: &BackendName| Command::Backend(BackendCommand::Publish(backend.clone()));
    let commands: Vec<Command> = backends.iter().map(publish).collect();
    let BatchOutcome { replies, .. } = Batch::new(&commands).run(socket, limits).await?;
    for ((backend, command), reply) in backends.iter().zip(&commands).zip(&replies) {
        match reply.verdict(command) {
            Ok(_) => _ = outcome.published.insert(backend.clone()),
            Err(refusal) => outcome.failed.push(NotLive::new(backend, refusal.into())),
        }
    }
    Ok(outcome)
}

fn add_command(live: &LiveBackend) -> Command {
    let LiveBackend { name, mode, profile } = live.clone();
    Command::Backend(BackendCommand::Add { backend: name, from: profile, mode })
}

fn shown(reply: Option<&Reply>) -> Result<BTreeSet<String>, ParseError> {
    Ok(backends::parse(reply.map(Reply::text).unwrap_or_default())?.into_iter().collect())
}

impl Added {
    fn judge(&mut self, backend: &BackendName, said: Result<Accepted, Refusal>, is_there: bool) {
        match said {
            Ok(accepted) if is_there => {
                self.added.insert(backend.clone());
                if let Accepted::Warned(warning) = accepted {
                    self.warnings.push((backend.clone(), warning));
                }
            }
            Ok(_) => self.failed.push(NotLive::new(backend, Why::NotShown)),
            // Somebody else was faster.
            Err(_) if is_there => _ = self.existing.insert(backend.clone()),
            Err(refusal) => self.failed.push(NotLive::new(backend, refusal.into())),
        }
    }
}

impl NotLive {
    fn new(backend: &BackendName, why: Why) -> Self {
        Self { backend: backend.clone(), why }
    }
}
