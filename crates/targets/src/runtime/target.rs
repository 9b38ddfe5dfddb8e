//! The runtime target: a HAProxy whose servers are kept through its stats socket.
//!
//! Servers' states are read per backend at every look. What cannot change while a process lives (a backend's
//! algorithm, whether a server is a backup) is read once for each process and set of servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use roster_core::applied::ProcessId;
use roster_core::haproxy::stat::StatKind;
use roster_core::haproxy::{
    Command, ParseError, ProcessInfo, Refusal, Reply, ServerPath, StatScope, servers_conn, servers_state,
    stat,
};
use roster_core::name::{BackendName, ServerName};
use roster_core::observed::{BackendLimits, Observed, ObservedBackend, ObservedCheck, ObservedServer};
use roster_core::plan::{Change, Operation};
use thiserror::Error;
use tokio::time::Instant;

use super::batch::Batch;
use super::session::{Limits, SessionError};
use super::socket::SocketAddress;
use crate::{Look, Reading, Receipt, Refused, Target};

/// A HAProxy behind a stats socket.
#[derive(Debug)]
pub struct RuntimeTarget {
    address: SocketAddress,
    limits: Limits,
    /// Only ever held for as long as it takes to look something up.
    known: Mutex<Known>,
}

/// What does not change while a process lives.
#[derive(Debug, Default)]
struct Known {
    process: Option<ProcessId>,
    backends: BTreeMap<BackendName, KnownBackend>,
}

#[derive(Debug)]
struct KnownBackend {
    limits: BackendLimits,
    /// Each server that was there, and whether it is a backup.
    backups: BTreeMap<ServerName, bool>,
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

    /// Gives a sign whenever the socket is made anew, until what is returned is dropped.
    pub fn watch(&self, sign: tokio::sync::mpsc::Sender<()>) -> Option<notify::RecommendedWatcher> {
        match &self.address {
            SocketAddress::Unix(path) => super::watch::watch(path, sign),
            SocketAddress::Tcp(_) => None,
        }
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

    /// Reads what does not change, for the backends whose servers are not those that are known.
    async fn learn(&self, process: &ProcessInfo, read: &[ReadBackend]) -> Result<(), RuntimeError> {
        let id = ProcessId::from(process);
        let new = self.known().unknown(id, read);
        if new.is_empty() {
            return Ok(());
        }
        let commands: Vec<Command> = new.iter().map(|read| read.stat()).collect();
        let mut answers = self.ask(&commands, Some(id)).await?;
        let mut learnt = Vec::with_capacity(new.len());
        for read in new {
            let rows = stat::parse(answers.next().text()).map_err(|source| self.unreadable(source))?;
            learnt.push((read.name.clone(), read.learn(process, &rows)));
        }
        self.ask_if_dynamic(id, &mut learnt).await?;
        self.known().learn(id, learnt);
        Ok(())
    }

    /// Asks about the algorithms whose name does not tell. HAProxy logs the question as an alert, so it is not asked
    /// without need.
    async fn ask_if_dynamic(
        &self,
        process: ProcessId,
        learnt: &mut [(BackendName, KnownBackend)],
    ) -> Result<(), RuntimeError> {
        let mut doubtful = Vec::new();
        for (name, known) in learnt {
            match known.limits.algorithm.as_deref() {
                Some("roundrobin" | "leastconn" | "first" | "random") => known.limits.dynamic = true,
                Some("static-rr") => known.limits.dynamic = false,
                // `source`, `uri`, `hdr` and their like are dynamic with `hash-type consistent` only.
                _ => doubtful.push((&*name, known)),
            }
        }
        if doubtful.is_empty() {
            return Ok(());
        }
        let commands: Vec<Command> =
            doubtful.iter().map(|(name, _)| Command::AskIfDynamic((*name).clone())).collect();
        let mut answers = self.ask(&commands, Some(process)).await?;
        for ((_, known), command) in doubtful.into_iter().zip(&commands) {
            let refused = answers.next().verdict(command).err();
            known.limits.dynamic = !matches!(refused, Some(Refusal::NotDynamicAlgorithm(_)));
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whoever panicked while holding it left something that at worst is asked again.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Those of the backends whose servers are not those that are known of this process.
    fn unknown<'r>(&mut self, process: ProcessId, read: &'r [ReadBackend]) -> Vec<&'r ReadBackend> {
        if self.process != Some(process) {
            *self = Known { process: Some(process), backends: BTreeMap::new() };
        }
        let knows = |read: &ReadBackend| {
            let known = self.backends.get(&read.name);
            known.is_some_and(|known| known.backups.keys().eq(read.servers.keys()))
        };
        read.iter().filter(|read| !knows(read)).collect()
    }

    /// Takes in what was learnt, unless another process has taken over since.
    fn learn(&mut self, process: ProcessId, learnt: Vec<(BackendName, KnownBackend)>) {
        if self.process == Some(process) {
            self.backends.extend(learnt);
        }
    }

    /// All that is there to know of what was read from this process; nothing if another one has taken over since.
    fn finish(
        &self,
        process: ProcessId,
        read: Vec<ReadBackend>,
    ) -> Option<BTreeMap<BackendName, ObservedBackend>> {
        let finish = |mut read: ReadBackend| {
            let known = self.backends.get(&read.name)?;
            for (name, server) in &mut read.servers {
                server.backup = known.backups.get(name).copied().unwrap_or(false);
            }
            Some((read.name, ObservedBackend { limits: known.limits.clone(), servers: read.servers }))
        };
        if self.process == Some(process) { read.into_iter().map(finish).collect() } else { None }
    }
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

/// A backend as far as `show servers state` and `show servers conn` tell.
#[derive(Debug)]
struct ReadBackend {
    name: BackendName,
    number: Option<u32>,
    servers: BTreeMap<ServerName, ObservedServer>,
}

impl ReadBackend {
    fn new(name: BackendName, rows: Vec<servers_state::ServerState>) -> Self {
        let number = rows.first().map(|row| row.backend_id);
        // A name that Roster could not write is nobody it could ever have to name.
        let named =
            rows.into_iter().filter_map(|row| Some((ServerName::new(&row.server).ok()?, observed(&row)?)));
        Self { name, number, servers: named.collect() }
    }

    fn count(&mut self, rows: &[servers_conn::ServerConnections]) {
        for row in rows {
            if let Some(server) = self.servers.get_mut(row.server.as_str()) {
                server.connections = Some(u32::try_from(row.used).unwrap_or(u32::MAX));
            }
        }
    }

    /// By number where it is known: a frontend may have the backend's name.
    fn stat(&self) -> Command {
        let by_name = || StatScope::Backend(self.name.clone());
        Command::ShowStat(self.number.map_or_else(by_name, StatScope::Proxy))
    }

    fn learn(&self, process: &ProcessInfo, rows: &[stat::StatRow]) -> KnownBackend {
        let algorithm =
            rows.iter().find(|row| row.kind == StatKind::Backend).and_then(|row| row.algorithm.clone());
        let backups: BTreeSet<&str> = rows
            .iter()
            .filter(|row| row.kind == StatKind::Server && row.backup > 0)
            .map(|row| row.name.as_str())
            .collect();
        KnownBackend {
            limits: BackendLimits { version: process.version, algorithm, dynamic: true },
            backups: self
                .servers
                .keys()
                .map(|name| (name.clone(), backups.contains(name.as_str())))
                .collect(),
        }
    }
}

fn observed(row: &servers_state::ServerState) -> Option<ObservedServer> {
    Some(ObservedServer {
        id: row.server_id?,
        ip: row.address,
        port: row.port,
        op: row.operational,
        admin: row.admin,
        weight: row.weight,
        initial_weight: row.initial_weight,
        check: ObservedCheck {
            configured: row.check.is_configured(),
            enabled: row.check.is_enabled(),
            health: row.check.health,
        },
        backup: false,
        connections: None,
    })
}

impl Target for RuntimeTarget {
    type Error = RuntimeError;

    async fn observe(&self, look: &Look) -> Result<Reading, RuntimeError> {
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
                Err(refusal) => {
                    let (socket, command) = (self.address.clone(), command.to_string());
                    return Err(RuntimeError::Refused { socket, command, refusal });
                }
                Ok(_) => {
                    let rows =
                        servers_state::parse(reply.text()).map_err(|source| self.unreadable(source))?;
                    read.push(ReadBackend::new(name.clone(), rows));
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
        let process = answers.process;
        self.learn(&process, &read).await?;
        let (id, version) = (ProcessId::from(&process), process.version);
        let (found, finished) = {
            let known = self.known();
            (known.process.unwrap_or(id), known.finish(id, read))
        };
        let backends = finished.ok_or(SessionError::OtherProcess { expected: id, found })?;
        Ok(Reading { process: id, version, observed: Observed { backends, missing } })
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
        Ok(Receipt { commands: commands.len(), took: started.elapsed(), refused })
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
