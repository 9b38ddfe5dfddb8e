//! The runtime target: a HAProxy whose servers are kept through its stats socket.
//!
//! Servers' states are read per backend at every look. What cannot change while a process lives (a backend's
//! algorithm, whether a server is a backup) is read once for each process and set of servers, and can be read ahead:
//! HAProxy works some 4 µs for each server to tell it, which would come before anything is changed.

mod known;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use roster_core::applied::ProcessId;
use roster_core::plan::{Change, Operation};
use roster_haproxy::cli::command::{Note, NoteCommand};
use roster_haproxy::cli::{
    Command, ParseError, ProcessInfo, Refusal, Reply, ServerPath, backends, servers_conn, stat,
};
use roster_haproxy::name::BackendName;
use roster_haproxy::observed::Observed;
use roster_haproxy::version::Version;
use thiserror::Error;
use tokio::time::Instant;

use self::known::Known;
use self::read::ReadBackend;
use super::batch::Batch;
use super::session::{Limits, SessionError};
use super::socket::SocketAddress;
use super::watch::Watching;
use crate::{Look, Reading, Receipt, Refused, Target};

/// How many backends are read ahead on one connection.
const AHEAD: usize = 8;
/// After so many servers `show stat` goes on over a new connection, so that no HAProxy is asked for all of it at once.
const PORTION: usize = 1_000;

/// A HAProxy behind a stats socket.
#[derive(Debug)]
pub struct RuntimeTarget {
    address: SocketAddress,
    limits: Limits,
    /// Only ever held for as long as it takes to look something up.
    known: Mutex<Known>,
}

/// Why a runtime target could not be read or written.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// The socket.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// An answer that cannot be read.
    #[error("{socket}: {source}")]
    Answer {
        /// Where.
        socket: SocketAddress,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The socket is not for what Roster does.
    #[error(
        "{socket} has `level {level}`, with which nothing can be changed; give its `stats socket` line `level admin`"
    )]
    Level {
        /// Where.
        socket: SocketAddress,
        /// What it has.
        level: String,
    },
    /// A question that was refused.
    #[error("{socket}: `{command}`: {refusal}")]
    Refused {
        /// Where.
        socket: SocketAddress,
        /// What was asked.
        command: String,
        /// What was said.
        refusal: Refusal,
    },
}

impl RuntimeError {
    /// Whether another process took over, so that reading and planning again is all it needs.
    pub fn is_takeover(&self) -> bool {
        use SessionError::{OtherProcess, ProcessChanged, Stopping};
        matches!(self, RuntimeError::Session(OtherProcess { .. } | ProcessChanged { .. } | Stopping { .. }))
    }

    /// Whether other connections may have kept HAProxy from answering.
    pub fn is_busy(&self) -> bool {
        matches!(self, RuntimeError::Session(error) if error.is_busy())
    }

    /// Whether nobody answers at the socket.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, RuntimeError::Session(SessionError::Connect(_)))
    }
}

impl RuntimeTarget {
    /// A target that nothing was read from yet.
    pub fn new(address: SocketAddress, limits: Limits) -> Self {
        Self { address, limits, known: Mutex::default() }
    }

    /// Where it listens.
    pub fn address(&self) -> &SocketAddress {
        &self.address
    }

    /// Gives a sign whenever another process may serve than before, until what is returned is dropped.
    pub fn watch(&self, sign: tokio::sync::mpsc::Sender<()>) -> Watching {
        Watching::start(self.address.clone(), self.limits, sign)
    }

    /// Asks for the version, and whether the socket lets one do everything that Roster does.
    pub async fn examine(&self) -> Result<Version, RuntimeError> {
        let command = Command::ShowLevel;
        let mut answers = self.ask(std::slice::from_ref(&command), None).await?;
        let (process, version) = (ProcessId::from(&answers.process), answers.process.version);
        let level = answers.next().text().trim().to_owned();
        if matches!(level.as_str(), "user" | "operator") {
            return Err(RuntimeError::Level { socket: self.address.clone(), level });
        }
        self.known().admit(process);
        Ok(version)
    }

    async fn ask(&self, commands: &[Command], expected: Option<ProcessId>) -> Result<Answers, RuntimeError> {
        let batch = Batch::new(commands);
        let batch = expected.map_or(batch, |process| batch.expecting(process));
        let outcome = batch.run(&self.address, &self.limits).await?;
        Ok(Answers { replies: outcome.replies.into_iter(), process: outcome.process })
    }

    fn unreadable(&self, source: ParseError) -> RuntimeError {
        RuntimeError::Answer { socket: self.address.clone(), source }
    }

    fn refused(&self, command: &Command, refusal: Refusal) -> RuntimeError {
        RuntimeError::Refused { socket: self.address.clone(), command: command.to_string(), refusal }
    }

    /// Reads the states of these backends' servers. The other ones are missing.
    async fn read(
        &self,
        look: &Look,
    ) -> Result<(ProcessInfo, Vec<ReadBackend>, BTreeSet<BackendName>), RuntimeError> {
        let states = look.backends.iter().map(|backend| Command::ShowServersState(Some(backend.clone())));
        let connections = look.connections.iter().filter(|backend| look.backends.contains(*backend));
        let counts = connections.clone().map(|backend| Command::ShowServersConn(Some(backend.clone())));
        let commands: Vec<Command> = states.chain(counts).collect();
        let mut answers = self.ask(&commands, None).await?;
        let mut read: Vec<ReadBackend> = Vec::with_capacity(look.backends.len());
        let mut missing = BTreeSet::new();
        for (name, command) in look.backends.iter().zip(&commands) {
            let reply = answers.next();
            match reply.verdict(command) {
                Err(Refusal::NoSuchBackend) => {
                    missing.insert(name.clone());
                }
                Err(refusal) => return Err(self.refused(command, refusal)),
                Ok(_) => {
                    let backend = ReadBackend::new(name.clone(), reply.text());
                    read.push(backend.map_err(|source| self.unreadable(source))?);
                }
            }
        }
        for name in connections {
            let reply = answers.next();
            if let Some(backend) = read.iter_mut().find(|read| read.name == *name) {
                let rows = servers_conn::parse(reply.text()).map_err(|source| self.unreadable(source))?;
                backend.count(&rows);
            }
        }
        Ok((answers.process, read, missing))
    }

    /// Reads what does not change, for the backends whose servers are not those that are known.
    async fn learn(&self, process: ProcessId, read: &[ReadBackend]) -> Result<(), RuntimeError> {
        let new = self.known().unknown(process, read);
        for portion in portions(&new) {
            let commands: Vec<Command> = portion.iter().map(|read| read.stat()).collect();
            let mut answers = self.ask(&commands, Some(process)).await?;
            for read in portion {
                let reply = answers.next();
                let fixed = stat::fixed(reply.text()).map_err(|source| self.unreadable(source))?;
                self.known().learn(process, read, fixed);
            }
        }
        Ok(())
    }

    /// Asks about the algorithms whose name does not tell. HAProxy logs the question as an alert, so it is not asked
    /// without need.
    async fn ask_if_dynamic(&self, process: ProcessId, read: &[ReadBackend]) -> Result<(), RuntimeError> {
        let doubtful = self.known().doubtful(read);
        if doubtful.is_empty() {
            return Ok(());
        }
        let commands: Vec<Command> = doubtful.iter().cloned().map(Command::AskIfDynamic).collect();
        let mut answers = self.ask(&commands, Some(process)).await?;
        for (backend, command) in doubtful.iter().zip(&commands) {
            let refused = answers.next().verdict(command).err();
            let dynamic = !matches!(refused, Some(Refusal::NotDynamicAlgorithm(_)));
            self.known().settle(process, backend, dynamic);
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whoever panicked while holding it left something that at worst is asked again.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts backends where [`PORTION`] servers are reached. Each has one backend at least.
fn portions<'r>(backends: &[&'r ReadBackend]) -> Vec<Vec<&'r ReadBackend>> {
    let (mut portions, mut servers) = (Vec::<Vec<_>>::new(), PORTION);
    for backend in backends {
        if servers >= PORTION {
            portions.push(Vec::new());
            servers = 0;
        }
        servers += backend.servers.len();
        if let Some(portion) = portions.last_mut() {
            portion.push(*backend);
        }
    }
    portions
}

struct Answers {
    replies: std::vec::IntoIter<Reply>,
    process: ProcessInfo,
}

impl Answers {
    /// The next answer; there is one for each command, or the batch would have failed.
    fn next(&mut self) -> Reply {
        self.replies.next().unwrap_or_else(|| Reply::new(String::new()))
    }
}

impl Target for RuntimeTarget {
    type Error = RuntimeError;

    async fn observe(&self, look: &Look) -> Result<Reading, RuntimeError> {
        let (process, read, missing) = self.read(look).await?;
        let (id, version) = (ProcessId::from(&process), process.version);
        if !self.known().is_admitted(id) {
            self.examine().await?;
        }
        self.learn(id, &read).await?;
        self.ask_if_dynamic(id, &read).await?;
        let (found, finished) = {
            let known = self.known();
            (known.process().unwrap_or(id), known.finish(id, version, read))
        };
        let backends = finished.ok_or(SessionError::OtherProcess { expected: id, found })?;
        Ok(Reading { process: id, version, observed: Observed { backends, missing } })
    }

    async fn backends(&self) -> Result<BTreeSet<BackendName>, RuntimeError> {
        let command = Command::ShowBackend;
        let reply = self.ask(std::slice::from_ref(&command), None).await?.next();
        reply.verdict(&command).map_err(|refusal| self.refused(&command, refusal))?;
        let names = backends::parse(reply.text()).map_err(|source| self.unreadable(source))?;
        // A name that Roster could not write is nobody it could ever have to name.
        Ok(names.iter().filter_map(|name| BackendName::new(name).ok()).collect())
    }

    async fn prepare(&self, backends: &BTreeSet<BackendName>) -> Result<(), RuntimeError> {
        let serving = self.identify().await?;
        let new = {
            let mut known = self.known();
            known.enter(serving);
            known.without(backends)
        };
        for few in new.chunks(AHEAD) {
            let look = Look { backends: few.iter().cloned().collect(), connections: BTreeSet::new() };
            let (process, read, _) = self.read(&look).await?;
            // Whether a doubtful algorithm is dynamic is not asked of a backend that may never be Roster's.
            self.learn(ProcessId::from(&process), &read).await?;
        }
        Ok(())
    }

    async fn identify(&self) -> Result<ProcessId, RuntimeError> {
        let answers = self.ask(&[], None).await?;
        Ok(ProcessId::from(&answers.process))
    }

    async fn apply(&self, process: ProcessId, operations: &[Operation]) -> Result<Receipt, RuntimeError> {
        let started = Instant::now();
        let commands: Vec<Command> = operations.iter().map(command).collect();
        let answers = self.ask(&commands, Some(process)).await?;
        let verdicts = answers.replies.zip(&commands).map(|(reply, command)| reply.verdict(command));
        let refused = verdicts
            .enumerate()
            .filter_map(|(operation, verdict)| Some(Refused { operation, refusal: verdict.err()? }))
            .collect();
        Ok(Receipt { commands: commands.len(), took: started.elapsed(), refused, left: BTreeSet::new() })
    }

    async fn remember(
        &self,
        process: ProcessId,
        notes: &[(ServerPath, Vec<u8>)],
    ) -> Result<Option<Refusal>, RuntimeError> {
        let set = |(server, bytes): &(ServerPath, Vec<u8>)| {
            Command::Notes(NoteCommand::Set { server: server.clone(), note: Note::new(bytes) })
        };
        let allow = std::iter::once(Command::Notes(NoteCommand::Allow));
        let commands: Vec<Command> = allow.chain(notes.iter().map(set)).collect();
        let answers = self.ask(&commands, Some(process)).await?;
        let mut verdicts = answers.replies.zip(&commands).map(|(reply, command)| reply.verdict(command));
        Ok(verdicts.find_map(Result::err))
    }

    async fn recall(
        &self,
        process: ProcessId,
        servers: &[ServerPath],
    ) -> Result<BTreeMap<ServerPath, Vec<u8>>, RuntimeError> {
        let get = |server: &ServerPath| Command::Notes(NoteCommand::Get(server.clone()));
        let commands: Vec<Command> = servers.iter().map(get).collect();
        let answers = self.ask(&commands, Some(process)).await?;
        let notes = servers.iter().zip(answers.replies);
        Ok(notes.filter_map(|(server, reply)| Some((server.clone(), Note::read(reply.text())?))).collect())
    }

    fn lines(&self, operation: &Operation) -> Vec<String> {
        vec![command(operation).to_string()]
    }
}

/// The command that an operation comes to.
fn command(operation: &Operation) -> Command {
    let server = ServerPath { backend: operation.backend.clone(), server: operation.server.clone() };
    match &operation.change {
        Change::Add { endpoint, keywords } => {
            Command::AddServer { server, at: *endpoint, keywords: keywords.clone() }
        }
        Change::Address(to) => Command::SetAddr { server, to: *to },
        Change::Weight(to) => Command::SetWeight { server, to: *to },
        Change::InitialWeight => Command::ResetWeight(server),
        Change::State(to) => Command::SetState { server, to: *to },
        Change::EnableCheck => Command::EnableHealth(server),
        Change::HealthDown => Command::SetHealth { server, up: false },
        Change::HealthUp => Command::SetHealth { server, up: true },
        Change::Delete => Command::DelServer(server),
    }
}
