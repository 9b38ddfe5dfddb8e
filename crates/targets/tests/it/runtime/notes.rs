//! Notes that HAProxy keeps, and what its socket lets one do.

use std::net::SocketAddr;

use roster_core::applied::ProcessId;
use roster_targets::Target;
use roster_targets::runtime::RuntimeTarget;
use roster_targets::runtime::session::Limits;
use roster_targets::runtime::socket::SocketAddress;
use roster_testkit::{Haproxy, OrFail};

use super::{address, backend, many_servers, on_each, path};

fn target(haproxy: &Haproxy) -> RuntimeTarget {
    RuntimeTarget::new(address(haproxy), Limits::default())
}

#[tokio::test]
async fn a_note_is_kept_until_it_is_replaced_and_as_long_as_the_process_lives() {
    on_each(async |bin| {
        let mut haproxy = Haproxy::builder(bin).config(&many_servers(2)).start().or_fail();
        let target = target(&haproxy);
        let process = target.identify().await.or_fail();
        let servers = [path("web", "s0"), path("web", "s1"), path("web-2", "10.0.0.1:80")];
        let kept = async |process: ProcessId| target.recall(process, &servers).await.or_fail();
        assert!(kept(process).await.is_empty());
        let long: Vec<u8> = (0..=255).cycle().take(2_000).collect();
        let notes = [(servers[0].clone(), b"first".to_vec()), (servers[2].clone(), long.clone())];
        assert_eq!(target.remember(process, &notes).await.or_fail(), None);
        assert_eq!(kept(process).await, notes.iter().cloned().collect());
        let taken_back = [(servers[0].clone(), Vec::new())];
        assert_eq!(target.remember(process, &taken_back).await.or_fail(), None);
        assert_eq!(kept(process).await, [(servers[2].clone(), long)].into());
        haproxy.restart().or_fail();
        let next = target.identify().await.or_fail();
        assert!(kept(next).await.is_empty());
        assert!(target.remember(process, &notes).await.unwrap_err().is_takeover());
    })
    .await;
}

#[tokio::test]
async fn a_socket_at_which_nothing_can_be_changed_is_told_before_anything_is_tried() {
    on_each(async |bin| {
        let config = "global\n    stats socket {socket} level admin\n    stats socket 127.0.0.1:{port:operator} level operator\n    \
                      stats socket 127.0.0.1:{port:user} level user\nbackend web\n    server s0 127.0.0.1:9\n";
        let haproxy = Haproxy::builder(bin).whole_config(config).start().or_fail();
        for level in ["operator", "user"] {
            let at = SocketAddr::from(([127, 0, 0, 1], haproxy.port(level).or_fail()));
            let target = RuntimeTarget::new(SocketAddress::Tcp(at), Limits::default());
            let look = roster_targets::Look { backends: [backend("web")].into(), ..Default::default() };
            for error in [target.examine().await.unwrap_err(), target.observe(&look).await.unwrap_err()] {
                let text = error.to_string();
                assert!(text.contains(&format!("`level {level}`")) && text.contains("`level admin`"), "{text}");
            }
        }
        target(&haproxy).examine().await.or_fail();
    })
    .await;
}
