//! The demo's HAProxy: started from its file, watched through its socket.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use roster_core::haproxy::{Command as Cli, ServerState, servers_state};
use roster_core::name::BackendName;
use roster_targets::runtime::batch::Batch;
use roster_targets::runtime::session::Limits;
use roster_targets::runtime::socket::SocketAddress;
use tokio::net::TcpSocket;
use tokio::process::Command;

use super::error::DemoError;
use super::files::{BACKEND, Ports, SOCKET, haproxy_cfg};
use super::find::Found;
use super::process::Process;

/// The longest that it may take to come up.
const UP_WITHIN: Duration = Duration::from_secs(15);
/// How long to wait between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Ports of loopback that stay the demo's. `HAProxy` shares them (`SO_REUSEPORT`), which nobody else can who does not
/// ask for that; a socket that does not listen gets no connections.
#[derive(Debug)]
pub(super) struct Reserved {
    /// Their numbers.
    pub(super) ports: Ports,
    _held: [TcpSocket; 2],
}

/// How to see what HAProxy shows.
#[derive(Clone, Debug)]
pub(super) struct Eye {
    socket: SocketAddress,
    question: Option<Cli>,
}

/// What HAProxy shows at one moment.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// The process that answered.
    pub(super) pid: u32,
    servers: Vec<ServerState>,
}

/// How a server stands that has this address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// In this slot it gets its share.
    Serving(String),
    /// In this slot it gets nothing new.
    Draining(String),
    /// It gets nothing.
    Out,
}

impl Reserved {
    /// Two that are free.
    pub(super) fn new() -> Result<Self, DemoError> {
        let ((web, web_held), (stats, stats_held)) = (reserve()?, reserve()?);
        Ok(Self { ports: Ports { web, stats }, _held: [web_held, stats_held] })
    }
}

fn reserve() -> Result<(SocketAddr, TcpSocket), DemoError> {
    let held = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseport(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok((socket.local_addr()?, socket))
    };
    held().map_err(DemoError::Port)
}

/// Writes the configuration into the folder and starts HAProxy by it.
pub(super) fn start(found: &Found, folder: &Path, ports: Ports) -> Result<Process, DemoError> {
    let cfg = folder.join("haproxy.cfg");
    write(&cfg, &haproxy_cfg(folder, ports))?;
    let path = log(folder);
    let said = File::create(&path).and_then(|file| Ok((file.try_clone()?, file)));
    let (out, err) = said.map_err(|source| DemoError::File { path, source })?;
    // In the foreground and without a master: one process, which any reload would replace.
    Process::spawn(Command::new(&found.path).arg("-db").arg("-f").arg(cfg).stdout(out).stderr(err))
}

/// What HAProxy wrote, for a person.
pub(super) fn said(folder: &Path) -> String {
    let text = std::fs::read_to_string(log(folder)).unwrap_or_default();
    let lines: Vec<String> = text.lines().take(40).map(|line| format!("  haproxy | {line}")).collect();
    if lines.is_empty() { "  haproxy | (it wrote nothing)".to_owned() } else { lines.join("\n") }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("haproxy.log")
}

/// Writes a file of the demo.
pub(super) fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    std::fs::write(path, text).map_err(|source| DemoError::File { path: path.to_owned(), source })
}

impl Eye {
    /// For the HAProxy in this folder.
    pub(super) fn new(folder: &Path) -> Self {
        let question = BackendName::new(BACKEND).ok().map(|backend| Cli::ShowServersState(Some(backend)));
        Self { socket: SocketAddress::Unix(folder.join(SOCKET)), question }
    }

    /// What it shows now; else why it cannot be seen.
    pub(super) async fn look(&self) -> Result<View, String> {
        let question: Vec<Cli> = self.question.iter().cloned().collect();
        let outcome = Batch::new(&question).run(&self.socket, &Limits::default()).await;
        let outcome = outcome.map_err(|error| crate::events::chain(&error))?;
        let reply = outcome.replies.first().map(|reply| reply.text().to_owned()).unwrap_or_default();
        let servers = servers_state::parse(&reply).map_err(|error| error.to_string())?;
        Ok(View { pid: outcome.process.pid, servers })
    }

    /// Waits until it answers, and says which process that is.
    pub(super) async fn until_up(&self, haproxy: &mut Process, folder: &Path) -> Result<u32, DemoError> {
        let mut why = "it does not listen".to_owned();
        let looking = async {
            loop {
                match self.look().await {
                    Ok(view) => return view.pid,
                    Err(not_yet) => why = not_yet,
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let outcome = tokio::select! {
            up = tokio::time::timeout(UP_WITHIN, looking) => up.map_err(|_| None),
            how = haproxy.ended() => Err(Some(how)),
        };
        outcome.map_err(|ended| {
            let why = ended.map_or(why, |how| format!("it ended ({how})"));
            DemoError::NotUp { why, log: said(folder) }
        })
    }
}

impl View {
    /// How the server at this address stands.
    pub(super) fn standing(&self, at: SocketAddr) -> Standing {
        let here = |server: &&ServerState| server.address == Some(at.ip()) && server.port == at.port();
        match self.servers.iter().find(here) {
            Some(server) if server.admin.is_maint() => Standing::Out,
            Some(server) if server.admin.is_drain() => Standing::Draining(server.server.clone()),
            Some(server) if server.operational.is_up() => Standing::Serving(server.server.clone()),
            _ => Standing::Out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: &str = "\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
3 web 1 srv1 127.0.0.1 2 4 1 1 12 6 3 4 6 0 0 0 - 4001 - 0 0 - - 0
3 web 2 srv2 127.0.0.1 2 12 1 1 12 6 3 4 6 0 0 0 - 4002 - 0 0 - - 0
3 web 3 srv3 127.0.0.1 0 5 1 1 12 1 0 0 6 0 0 0 - 4003 - 0 0 - - 0
3 web 4 srv4 127.0.0.1 0 4 1 1 12 8 2 0 6 0 0 0 - 4004 - 0 0 - - 0
";

    #[test]
    fn only_a_server_that_is_up_and_ready_serves() {
        let view = View { pid: 1, servers: servers_state::parse(STATE).unwrap() };
        let standing = |port| view.standing((Ipv4Addr::LOCALHOST, port).into());
        assert_eq!(standing(4001), Standing::Serving("srv1".into()));
        assert_eq!(standing(4002), Standing::Draining("srv2".into()));
        assert_eq!(
            [standing(4003), standing(4004), standing(4005)],
            [Standing::Out, Standing::Out, Standing::Out]
        );
    }

    #[tokio::test]
    async fn a_reserved_port_is_taken_for_others_and_shared_with_haproxy() {
        let reserved = Reserved::new().unwrap();
        let Ports { web, stats } = reserved.ports;
        assert_ne!(web, stats);
        assert!(std::net::TcpListener::bind(web).is_err());
        let shared = TcpSocket::new_v4().unwrap();
        shared.set_reuseport(true).unwrap();
        shared.bind(web).unwrap();
        let listener = shared.listen(1).unwrap();
        tokio::net::TcpStream::connect(web).await.unwrap();
        listener.accept().await.unwrap();
    }
}
