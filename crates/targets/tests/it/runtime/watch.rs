//! Noticing that another process serves, without being told and without a poll.

use std::time::Duration;

use roster_targets::Target;
use roster_targets::runtime::RuntimeTarget;
use roster_targets::runtime::session::Limits;
use roster_targets::runtime::socket::SocketAddress;
use roster_testkit::{Haproxy, OrFail};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{CAP, address, many_servers, on_each};

/// Reloads, and answers once the sign came after which another process serves than before.
async fn reload_and_await(
    mut haproxy: Haproxy,
    target: &RuntimeTarget,
    signs: &mut mpsc::Receiver<()>,
) -> Haproxy {
    let before = target.identify().await.or_fail();
    let reloading = spawn_blocking(move || {
        haproxy.reload().or_fail();
        haproxy
    });
    let noticed = async {
        while target.identify().await.ok().is_none_or(|now| now == before) {
            signs.recv().await.unwrap();
        }
    };
    timeout(CAP, noticed).await.or_fail();
    reloading.await.unwrap()
}

#[tokio::test]
async fn every_reload_by_a_master_is_signed() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).master_worker().config(&many_servers(1)).start().or_fail();
        let target = RuntimeTarget::new(address(&haproxy), Limits::default());
        let (sign, mut signs) = mpsc::channel(1);
        let _watching = target.watch(sign);
        let mut haproxy = haproxy;
        for _ in 0..3 {
            haproxy = reload_and_await(haproxy, &target, &mut signs).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_reload_that_was_refused_hides_none_that_follows() {
    on_each(async |bin| {
        let mut haproxy = Haproxy::builder(bin).master_worker().config(&many_servers(1)).start().or_fail();
        let target = RuntimeTarget::new(address(&haproxy), Limits::default());
        let (sign, mut signs) = mpsc::channel(1);
        let _watching = target.watch(sign);
        haproxy.set_config("backend web\n    no such keyword\n").or_fail();
        haproxy.reload().unwrap_err();
        haproxy.set_config(&many_servers(2)).or_fail();
        reload_and_await(haproxy, &target, &mut signs).await;
    })
    .await;
}

#[tokio::test]
async fn a_successor_that_takes_the_socket_over_is_signed_though_there_is_no_master() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(&many_servers(1)).start().or_fail();
        let target = RuntimeTarget::new(address(&haproxy), Limits::default());
        let (sign, mut signs) = mpsc::channel(1);
        let _watching = target.watch(sign);
        reload_and_await(haproxy, &target, &mut signs).await;
    })
    .await;
}

#[tokio::test]
async fn on_a_tcp_socket_a_reload_is_signed_too() {
    on_each(async |bin| {
        let builder = Haproxy::builder(bin).master_worker().stats_on_tcp();
        let haproxy = builder.config(&many_servers(1)).start().or_fail();
        let target = RuntimeTarget::new(SocketAddress::Tcp(haproxy.stats_addr().unwrap()), Limits::default());
        let (sign, mut signs) = mpsc::channel(1);
        let _watching = target.watch(sign);
        reload_and_await(haproxy, &target, &mut signs).await;
    })
    .await;
}

#[tokio::test]
async fn without_another_process_there_is_no_sign() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).master_worker().config(&many_servers(1)).start().or_fail();
        let target = RuntimeTarget::new(address(&haproxy), Limits::default());
        let (sign, mut signs) = mpsc::channel(1);
        let _watching = target.watch(sign);
        // It opens the program's file as a reload does.
        let check = std::process::Command::new(bin.path()).arg("-v").output().unwrap();
        assert!(check.status.success());
        assert!(timeout(Duration::from_secs(1), signs.recv()).await.is_err(), "signed without need");
    })
    .await;
}
