//! Between two rounds: which servers are what the next round takes them to be.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use roster_haproxy::address::Endpoint;
use roster_haproxy::cli::{Command, Reply, ServerPath, servers_state};
use roster_haproxy::name::BackendName;
use tokio::time::{Instant, sleep};

use crate::runtime::session::{Limits, Lines, Progress, Session, SessionError};

/// HAProxy takes an address over within a command or two. After that many looks there is time to breathe.
const EAGER_LOOKS: u32 = 5;
const BREATH: Duration = Duration::from_millis(2);

/// Servers of which the rest of the batch is kept back, and why.
#[derive(Debug, Default)]
pub(super) struct Failed(BTreeMap<ServerPath, String>);

/// Addresses that were set, by backend and by the server's name as HAProxy prints it.
type Wanted<'r> = BTreeMap<&'r BackendName, HashMap<&'r str, (&'r ServerPath, Endpoint)>>;

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
            match command {
                Command::SetAddr { server, to } => match reply.verdict(command) {
                    Ok(_) => {
                        let servers = wanted.entry(&server.backend).or_default();
                        servers.insert(server.server.as_str(), (server, *to));
                    }
                    Err(refusal) => {
                        self.0.insert(server.clone(), format!("its address was not taken: {refusal}"));
                    }
                },
                Command::AddServer { server, .. } => {
                    if let Err(refusal) = reply.verdict(command) {
                        self.0.insert(server.clone(), format!("the server was not added: {refusal}"));
                    }
                }
                _ => {}
            }
        }
        self.read_back(session, wanted, limits, progress).await
    }

    async fn read_back(
        &mut self,
        session: &mut Session<'_>,
        mut wanted: Wanted<'_>,
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
                wanted.keys().map(|name| Command::ShowServersState(Some((*name).clone()))).collect();
            let lines = Lines::write(&questions, limits.line)?;
            let replies = session.ask(&lines.all(), &mut progress.clone()).await?;
            for (servers, reply) in wanted.values_mut().zip(&replies) {
                let shown = servers_state::visit_addresses(reply.text(), |name, ip, port| {
                    let points_to = |to: &Endpoint| ip == Some(to.ip) && port == to.port.get();
                    if servers.get(name).is_some_and(|(_, to)| points_to(to)) {
                        servers.remove(name);
                    }
                });
                shown.map_err(|_| session.out_of_step(progress))?;
            }
        }
        for (server, _) in wanted.into_values().flat_map(HashMap::into_values) {
            self.0.insert(server.clone(), "HAProxy still shows its old address".to_owned());
        }
        Ok(())
    }
}
