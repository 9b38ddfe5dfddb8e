//! The demo's HAProxy, which Roster runs: watched through its socket, and ended if Roster no longer can.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use roster_core::cause::chain;
use roster_haproxy::cli::{Command as Cli, ServerState, servers_state};
use roster_haproxy::render::FilePath;
use roster_targets::runtime::batch::Batch;
use roster_targets::runtime::session::Limits;
use roster_targets::runtime::socket::SocketAddress;
use tokio::net::TcpSocket;
use tokio::sync::watch;

use crate::error::DemoError;
use crate::files::{CFG, Ports, RUN};
use crate::log::Told;
use crate::process::Other;

/// Roster's state folder, in the demo's folder.
pub(crate) const STATE: &str = "state";
/// The longest that it may take to come up.
const UP_WITHIN: Duration = Duration::from_secs(15);
/// How long it may give no answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long it may take to end. Nobody asks it for anything by then.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// What a Unix socket's path has room for, less what HAProxy adds to it while it binds.
const LONGEST_SOCKET: usize = 90;
/// How long to wait between two looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Ports of loopback that stay the demo's: nobody is given one of them who asks for any. Roster (`SO_REUSEADDR`) and
/// `HAProxy` (`SO_REUSEPORT`) share them, as they ask for just these; a socket that does not listen gets no connections.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// Their numbers.
    pub(crate) ports: Ports,
    _held: [TcpSocket; 2],
}

/// How to see what HAProxy shows.
#[derive(Clone, Debug)]
pub(crate) struct Eye {
    socket: SocketAddress,
    seen: Arc<Mutex<Vec<u32>>>,
}

/// What HAProxy shows at one moment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The process that answered.
    pub(crate) pid: u32,
    servers: Vec<ServerState>,
}

/// How a server stands that has this address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// In this slot it gets its share.
    Serving(String),
    /// In this slot it gets nothing new.
    Draining(String),
    /// It gets nothing.
    Out,
}

impl Reserved {
    /// Two that are free.
    pub(crate) fn new() -> Result<Self, DemoError> {
        let ((web, web_held), (side, side_held)) = (reserve()?, reserve()?);
        Ok(Self { ports: Ports { web, side }, _held: [web_held, side_held] })
    }
}

fn reserve() -> Result<(SocketAddr, TcpSocket), DemoError> {
    let held = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        Ok((socket.local_addr()?, socket))
    };
    held().map_err(DemoError::Port)
}

/// What HAProxy wrote, for a person.
pub(crate) fn said(folder: &Path) -> String {
    let text = std::fs::read_to_string(log(folder)).unwrap_or_default();
    let lines: Vec<String> = text.lines().take(40).map(|line| format!("  haproxy | {line}")).collect();
    if lines.is_empty() { "  haproxy | (it wrote nothing)".to_owned() } else { lines.join("\n") }
}

fn log(folder: &Path) -> PathBuf {
    folder.join(RUN).join("haproxy.log")
}

/// Writes a file of the demo.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    std::fs::write(path, text).map_err(|source| DemoError::File { path: path.to_owned(), source })
}

impl Eye {
    /// For the HAProxy in this folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { socket: SocketAddress::Unix(folder.join(RUN).join("admin.sock")), seen: Arc::default() }
    }

    /// What it shows now; else why it cannot be seen.
    pub(crate) async fn look(&self) -> Result<View, String> {
        let outcome = Batch::new(&[Cli::ShowServersState(None)]).run(&self.socket, &Limits::default()).await;
        let outcome = outcome.map_err(|error| chain(&error))?;
        let reply = outcome.replies.first().map(|reply| reply.text().to_owned()).unwrap_or_default();
        let servers = servers_state::parse(&reply).map_err(|error| error.to_string())?;
        let pid = outcome.process.pid;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.last() != Some(&pid) {
            seen.push(pid);
        }
        Ok(View { pid, servers })
    }

    /// Looks until it answers; none if it does not for a while. A reload makes its socket anew.
    pub(crate) async fn look_again(&self) -> Option<View> {
        let looking = async {
            loop {
                if let Ok(view) = self.look().await {
                    return view;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.ok()
    }

    /// The processes that answered, one after the other.
    pub(crate) fn seen(&self) -> Vec<u32> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until Roster has brought it up, and says which process serves.
    pub(crate) async fn until_up(
        &self,
        mut told: watch::Receiver<Told>,
        folder: &Path,
    ) -> Result<u32, DemoError> {
        let not_up = |why: String| DemoError::NotUp { why, log: said(folder) };
        let is_decided = |told: &Told| told.served > 0 || told.trouble.is_some();
        let told = match tokio::time::timeout(UP_WITHIN, told.wait_for(is_decided)).await {
            Ok(Ok(told)) => told.clone(),
            _ => return Err(not_up(format!("Roster does not bring it up within {UP_WITHIN:?}"))),
        };
        match (told.served, told.trouble) {
            (0, Some(trouble)) => Err(not_up(trouble)),
            _ => match self.look_again().await {
                Some(view) => Ok(view.pid),
                None => Err(not_up("it does not answer".to_owned())),
            },
        }
    }
}

/// Ends the HAProxy of this folder if Roster could not do that any more.
pub(crate) async fn end_what_is_left(folder: &Path) {
    for process in Other::all_of(&folder.join(CFG)).await {
        process.end(ENDS_WITHIN).await;
    }
}

/// Where the demo's folder is made: HAProxy's sockets have to fit into what a Unix socket's path has room for, and their
/// paths stand in its file without quotes.
pub(crate) fn base() -> PathBuf {
    let wished = std::env::temp_dir();
    if has_room(&wished) { wished } else { PathBuf::from("/tmp") }
}

fn has_room(base: &Path) -> bool {
    let longest = base.join("roster-demo-123456").join(RUN).join("master.sock");
    let longest = longest.to_string_lossy();
    longest.len() <= LONGEST_SOCKET && FilePath::new(&longest).is_ok()
}

impl View {
    /// How the server at this address stands.
    pub(crate) fn standing(&self, at: SocketAddr) -> Standing {
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
    async fn a_reserved_port_is_shared_with_who_asks_for_just_that_one() {
        for share in [TcpSocket::set_reuseaddr, TcpSocket::set_reuseport] {
            // Each has ports of its own: a connection that has just ended is in the way of the next listener.
            let Reserved { ports: Ports { web, side }, _held } = Reserved::new().unwrap();
            assert_ne!(web, side);
            assert!(TcpSocket::new_v4().unwrap().bind(web).is_err());
            let shared = TcpSocket::new_v4().unwrap();
            share(&shared, true).unwrap();
            shared.bind(web).unwrap();
            let listener = shared.listen(1).unwrap();
            tokio::net::TcpStream::connect(web).await.unwrap();
            listener.accept().await.unwrap();
        }
    }

    #[test]
    fn a_folder_that_is_too_long_or_odd_is_not_taken() {
        assert!(has_room(Path::new("/tmp")) && has_room(Path::new("/home/me/tmp_2/@a+b")));
        assert!(!has_room(Path::new("/tmp/a b")) && !has_room(Path::new("/tmp/it's")));
        assert!(has_room(&Path::new("/").join("x".repeat(54))));
        assert!(!has_room(&Path::new("/").join("x".repeat(55))));
    }
}
