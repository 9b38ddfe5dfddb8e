//! A new master in the place of one that runs.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use roster_targets::managed::Inherited;
use roster_targets::managed::process::{Event, Program, Reload};
use roster_testkit::{OrFail, TrafficLoad, free_port, http_get};
use rustix::process::Signal;

use super::site::{Site, is_alive, next, on_each, send, serving, until};

fn traffic(site: &Site) -> TrafficLoad {
    TrafficLoad::builder(([127, 0, 0, 1], site.port).into()).start()
}

/// A socket that HAProxy knows as `fd@NUMBER`, and its port.
fn held(number: i32) -> (Inherited, u16) {
    let port = free_port().or_fail();
    let socket = TcpListener::bind(("127.0.0.1", port)).or_fail();
    socket.set_nonblocking(true).or_fail();
    (Inherited { number, fd: Arc::new(OwnedFd::from(socket)) }, port)
}

#[tokio::test]
async fn a_new_master_serves_before_the_old_one_leaves() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        serving(&mut supervisor).await;
        let old = supervisor.adoptable().unwrap();
        let load = traffic(site);
        site.serve("two", "");
        let replaced = supervisor.replace(site.program()).await.or_fail();
        let Reload::Reloaded { worker, old_workers: 1 } = replaced else { panic!("{replaced}") };
        let Event::Serving { master, worker: told } = next(&mut supervisor).await else { panic!() };
        assert_eq!(worker, Some(told));
        assert_ne!(master, old);
        // The end of the old one is waited for, and is no event.
        let gone = until("the old master's end", || (!is_alive(old.pid)).then_some(()));
        tokio::select! {
            event = supervisor.next() => panic!("{event:?}"),
            () = gone => {}
        }
        assert_eq!(supervisor.adoptable(), Some(master));
        assert_eq!(site.get().as_deref(), Some("two"));
        assert_eq!(site.worker(), worker);
        let totals = load.stop();
        assert!(totals.ok > 0 && totals.failed() == 0, "{totals:?}");

        // The new one is reloaded like the first.
        site.serve("three", "");
        assert!(matches!(supervisor.reload().await.or_fail(), Reload::Reloaded { .. }));
        site.until_it_answers("three").await;
        assert!(!site.path("master.sock.kept").exists() && !site.path("stats.sock.kept").exists());
    })
    .await;
}

#[tokio::test]
async fn a_successor_that_fails_leaves_the_old_one_serving_and_within_reach() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let worker = serving(&mut supervisor).await;
        let master = supervisor.adoptable();
        let port = free_port().or_fail();
        let _taken = TcpListener::bind(("127.0.0.1", port)).or_fail();
        for more in [format!("    bind 127.0.0.1:{port}"), "    nonsense here".to_owned()] {
            let load = traffic(site);
            site.serve("two", &more);
            let replaced = supervisor.replace(site.program()).await.or_fail();
            assert!(matches!(replaced, Reload::Refused { .. }), "{replaced}");
            let totals = load.stop();
            assert!(totals.ok > 0 && totals.failed() == 0, "{totals:?}");
            assert_eq!(site.worker(), Some(worker), "the stats socket's path leads to the old one");
            assert_eq!(supervisor.processes().await.or_fail().worker(), Some(worker), "so does the master's");
            assert_eq!(supervisor.adoptable(), master);
        }
        site.serve("two", "");
        assert!(matches!(supervisor.reload().await.or_fail(), Reload::Reloaded { .. }));
        site.until_it_answers("two").await;
    })
    .await;
}

#[tokio::test]
async fn a_new_inherited_socket_comes_with_a_new_master_and_survives_reloads_and_crashes() {
    on_each(async |site| {
        let (first, one) = held(40);
        let (second, two) = held(41);
        site.serve("one", "    bind fd@40");
        let program = Program { inherited: vec![first.clone()], ..site.program() };
        let mut supervisor =
            roster_targets::managed::process::Supervisor::start(program.clone()).await.or_fail();
        serving(&mut supervisor).await;
        let reached = |port: u16| http_get(([127, 0, 0, 1], port).into(), "/").map(|reply| reply.body);
        assert_eq!(reached(one).or_fail().trim(), "one");

        site.serve("two", "    bind fd@40\n    bind fd@41");
        let program = Program { inherited: vec![first, second], ..program };
        let replaced = supervisor.replace(program).await.or_fail();
        assert!(matches!(replaced, Reload::Reloaded { .. }), "{replaced}");
        serving(&mut supervisor).await;
        until("both sockets", || {
            let bodies = [one, two].map(|port| reached(port).unwrap_or_default());
            bodies.iter().all(|body| body.trim() == "two").then_some(())
        })
        .await;

        site.serve("three", "    bind fd@40\n    bind fd@41");
        assert!(matches!(supervisor.reload().await.or_fail(), Reload::Reloaded { .. }));
        until("the new file", || reached(two).ok().filter(|body| body.trim() == "three")).await;
        send(supervisor.adoptable().unwrap().pid, Signal::KILL);
        serving(&mut supervisor).await;
        until("both sockets after a crash", || {
            let bodies = [one, two].map(|port| reached(port).unwrap_or_default());
            bodies.iter().all(|body| body.trim() == "three").then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_successor_that_nobody_waits_for_is_ended_and_the_old_one_stays() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let worker = serving(&mut supervisor).await;
        // Dropped as soon as the successor has been started.
        let begun = until("a second master", || (site.processes().len() > 2).then_some(()));
        tokio::select! {
            biased;
            () = begun => {}
            replaced = supervisor.replace(site.program()) => panic!("{replaced:?}"),
        }
        until("the end of the successor", || (site.processes().len() == 2).then_some(())).await;
        assert_eq!(site.worker(), Some(worker));
        assert_eq!(supervisor.processes().await.or_fail().worker(), Some(worker));
        assert_eq!(site.get().as_deref(), Some("one"));
    })
    .await;
}
