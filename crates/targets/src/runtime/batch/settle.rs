//! Between two rounds: which servers are what the next round takes them to be.

use std::collections::BTreeMap;
use std::time::Duration;

use roster_core::address::Endpoint;
use roster_core::haproxy::{Command, Reply, ServerPath, ServerState, servers_state};
use roster_core::name::{BackendName, ServerName};
use tokio::time::{Instant, sleep};

use crate::runtime::session::{Limits, Lines, Progress, Session, SessionError};

/// HAProxy takes an address over within a command or two. After that many looks there is time to breathe.
const EAGER_LOOKS: u32 = 5;
const BREATH: Duration = Duration::from_millis(2);

/// Servers of which the rest of the batch is kept back, and why.
#[derive(Debug, Default)]
pub(super) struct Failed(BTreeMap<ServerPath, String>);

/// Addresses that were set, by backend and by the server's name as HAProxy prints it.
type Wanted = BTreeMap<BackendName, BTreeMap<String, Endpoint>>;

impl Failed {
    /// Why a command has to be kept back.
    pub(super) fn why(&self, command: &Command) -> Option<&str> {
        command.server().and_then(|server| self.0.get(server)).map(String::as_str)
    }

    /// Notes what HAProxy refused, and waits until it shows the addresses that it took.
    pub(super) async fn judge<'r>(
        &mut self,
        session: &mut Session<'_>,
        answered: impl Iterator<Item = (&'r Command, &'r Reply)>,
        limits: &Limits,
        progress: Progress,
    ) -> Result<(), SessionError> {
        let mut wanted = Wanted::new();
        for (command, reply) in answered {
            match (command, reply.verdict(command)) {
                (Command::SetAddr { server, to }, Ok(_)) => {
                    let servers = wanted.entry(server.backend.clone()).or_default();
                    servers.insert(server.server.as_str().to_owned(), *to);
                }
                (Command::SetAddr { server, .. }, Err(refusal)) => {
                    self.0.insert(server.clone(), format!("its address was not taken: {refusal}"));
                }
                (Command::AddServer { server, .. }, Err(refusal)) => {
                    self.0.insert(server.clone(), format!("the server was not added: {refusal}"));
                }
                _ => {}
            }
        }
        self.read_back(session, wanted, limits, progress).await
    }

    async fn read_back(
        &mut self,
        session: &mut Session<'_>,
        mut wanted: Wanted,
        limits: &Limits,
        progress: Progress,
    ) -> Result<(), SessionError> {
        let until = Instant::now() + limits.progress;
        for look in 0.. {
            wanted.retain(|_, servers| !servers.is_empty());
            if wanted.is_empty() {
                return Ok(());
            }
            if Instant::now() > until {
                break;
            }
            if look >= EAGER_LOOKS {
                sleep(BREATH).await;
            }
            let questions: Vec<_> =
                wanted.keys().map(|name| Command::ShowServersState(Some(name.clone()))).collect();
            let lines = Lines::write(&questions, limits.line)?;
            let replies = session.ask(&lines.all(), &mut progress.clone()).await?;
            for (servers, reply) in wanted.values_mut().zip(&replies) {
                let rows = servers_state::parse(reply.text()).map_err(|_| session.out_of_step(progress))?;
                servers.retain(|name, to| !rows.iter().any(|row| row.server == *name && points_to(row, *to)));
            }
        }
        let late =
            wanted.iter().flat_map(|(backend, servers)| servers.keys().map(move |name| (backend, name)));
        for (backend, name) in late {
            if let Ok(server) = ServerName::new(name) {
                let server = ServerPath { backend: backend.clone(), server };
                self.0.insert(server, "HAProxy still shows its old address".to_owned());
            }
        }
        Ok(())
    }
}

fn points_to(row: &ServerState, to: Endpoint) -> bool {
    row.address == Some(to.ip) && row.port == to.port.get()
}
