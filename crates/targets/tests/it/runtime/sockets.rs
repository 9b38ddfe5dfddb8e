//! Sockets that lead nowhere, and what the operator is told.

use std::os::unix::net::UnixListener;

use roster_haproxy::cli::Command;
use roster_targets::runtime::batch::Batch;
use roster_targets::runtime::session::{Limits, SessionError};
use roster_targets::runtime::socket::{ConnectError, SocketAddress};
use roster_testkit::{Haproxy, OrFail, dead_port};
use tempfile::TempDir;

use super::{CAP, many_servers, on_each, quick, weight};

async fn failure(address: &SocketAddress) -> SessionError {
    Batch::new(&[weight("s0", 1)]).run(address, &Limits::default()).await.unwrap_err()
}

#[tokio::test]
async fn a_missing_socket_says_to_start_haproxy_and_check_the_path() {
    let dir = TempDir::new().or_fail();
    let path = dir.path().join("admin.sock");
    let error = failure(&SocketAddress::Unix(path.clone())).await;
    assert!(matches!(&error, SessionError::Connect(ConnectError::NotFound(at)) if *at == path), "{error}");
    assert!(error.to_string().ends_with("check that a `stats socket` line names this path"), "{error}");
    assert!(error.nothing_was_sent());
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_told_from_a_missing_one() {
    let dir = TempDir::new().or_fail();
    let path = dir.path().join("admin.sock");
    drop(UnixListener::bind(&path).or_fail());
    let tcp = SocketAddress::Tcp(([127, 0, 0, 1], dead_port().or_fail()).into());
    for address in [SocketAddress::Unix(path), tcp] {
        let error = refusal(&address).await;
        assert!(error.to_string().contains("HAProxy does not run"), "{error}");
    }
}

/// The error once nobody listens: a process that another test just started holds every socket of this one until it has
/// become its own program.
async fn refusal(address: &SocketAddress) -> SessionError {
    let deadline = tokio::time::Instant::now() + CAP;
    loop {
        let error = failure(address).await;
        if matches!(error, SessionError::Connect(ConnectError::Refused(_))) {
            return error;
        }
        assert!(tokio::time::Instant::now() < deadline, "{error}");
    }
}

#[tokio::test]
async fn a_stopped_haproxy_leaves_a_socket_that_refuses() {
    on_each(async |bin| {
        let mut haproxy = Haproxy::builder(bin).config(&many_servers(1)).start().or_fail();
        let address = SocketAddress::Unix(haproxy.socket());
        haproxy.kill9().or_fail();
        let error = failure(&address).await;
        assert!(matches!(error, SessionError::Connect(ConnectError::Refused(_))), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_plain_file_and_a_path_too_long_are_named_as_such() {
    let dir = TempDir::new().or_fail();
    let file = dir.path().join("file");
    std::fs::write(&file, "").or_fail();
    let error = failure(&SocketAddress::Unix(file)).await;
    assert!(matches!(error, SessionError::Connect(ConnectError::NotASocket(_))), "{error}");
    let error = failure(&SocketAddress::Unix(dir.path().join("x".repeat(200)))).await;
    assert!(matches!(error, SessionError::Connect(ConnectError::PathTooLong(_))), "{error}");
}

#[tokio::test]
async fn the_masters_socket_is_recognised_and_gets_no_command() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).master_worker().config(&many_servers(1)).start().or_fail();
        // A master that has just executed itself refuses for a moment; this waits.
        haproxy.master_cli("show proc").or_fail();
        let address = SocketAddress::Unix(haproxy.master_socket());
        for commands in [vec![], vec![Command::ShowBackend], vec![weight("s0", 9)]] {
            let error = Batch::new(&commands).run(&address, &quick()).await.unwrap_err();
            assert!(matches!(error, SessionError::MasterSocket(_)), "{error}");
            assert!(error.nothing_was_sent());
        }
        assert_eq!(haproxy.server("web", "s0").or_fail().uweight, 1);
    })
    .await;
}
