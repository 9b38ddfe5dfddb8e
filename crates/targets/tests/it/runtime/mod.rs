//! The Runtime API client.

mod ahead;
mod gate;
mod notes;
mod process;
mod real;
mod refusals;
pub(crate) mod script;
mod scripted;
mod sockets;
mod tap;
mod target;
mod watch;

use std::time::Duration;

use roster_haproxy::cli::{Command, Reply, ServerPath};
use roster_haproxy::keywords::ServerKeywords;
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::observed::State;
use roster_haproxy::weight::Weight;
use roster_targets::runtime::session::Limits;
use roster_targets::runtime::socket::SocketAddress;
use roster_testkit::{Haproxy, HaproxyBin, OrFail};

/// Generous, because the tests share a small machine with compilers.
const CAP: Duration = Duration::from_secs(20);

/// Runs the same test on each HAProxy, and says which one failed.
async fn on_each(test: impl AsyncFn(&HaproxyBin)) {
    for bin in HaproxyBin::each() {
        eprintln!("on {bin}");
        test(&bin).await;
    }
}

/// One backend `web` with so many servers `s0`, `s1`, ….
fn many_servers(count: usize) -> String {
    let servers: Vec<_> = (0..count).map(|n| format!("    server s{n} 127.0.0.1:9\n")).collect();
    format!("backend web\n    balance roundrobin\n{}", servers.concat())
}

fn address(haproxy: &Haproxy) -> SocketAddress {
    SocketAddress::Unix(haproxy.socket())
}

fn backend(name: &str) -> BackendName {
    BackendName::new(name).or_fail()
}

fn server_name(name: &str) -> ServerName {
    ServerName::new(name).or_fail()
}

fn path(backend: &str, server: &str) -> ServerPath {
    ServerPath { backend: BackendName::new(backend).or_fail(), server: server_name(server) }
}

fn weight(server: &str, weight: u32) -> Command {
    let (backend, server) = server.split_once('/').unwrap_or(("web", server));
    Command::SetWeight { server: path(backend, server), to: Weight::new(weight).or_fail() }
}

fn state(backend: &str, server: &str, to: State) -> Command {
    Command::SetState { server: path(backend, server), to }
}

fn set_addr(backend: &str, server: &str, to: &str) -> Command {
    Command::SetAddr { server: path(backend, server), to: to.parse().or_fail() }
}

fn add(backend: &str, server: &str, at: &str, keywords: ServerKeywords) -> Command {
    Command::AddServer {
        server: path(backend, server),
        at: at.parse().or_fail(),
        keywords: Box::new(keywords),
    }
}

/// So many commands, none of which says the same as the one before.
fn weights(count: usize, servers: usize) -> Vec<Command> {
    let number = |n: usize| u32::try_from(1 + n % 200).unwrap_or(1);
    (0..count).map(|n| weight(&format!("s{}", n % servers), number(n))).collect()
}

fn texts(replies: &[Reply]) -> Vec<&str> {
    replies.iter().map(Reply::text).collect()
}

/// The limits of an impatient test.
fn quick() -> Limits {
    Limits { progress: Duration::from_secs(2), ..Limits::default() }
}
