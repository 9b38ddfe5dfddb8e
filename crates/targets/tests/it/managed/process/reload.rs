//! A new file for a HAProxy that runs.

use std::net::TcpListener;
use std::time::Duration;

use roster_targets::managed::process::{Event, ProcessError, Processes, Reload, Supervisor};
use roster_testkit::{OrFail, free_port};
use rustix::process::Signal;

use super::CAP;
use super::site::{Site, next, on_each, send, serving};

async fn reload(supervisor: &mut Supervisor) -> Reload {
    supervisor.reload().await.or_fail()
}

/// The old worker serves on, its sockets can be reached, and the next good file is taken.
async fn goes_on(site: &Site, supervisor: &mut Supervisor, worker: u32) {
    assert_eq!(site.get().as_deref(), Some("one"));
    assert_eq!(site.worker(), Some(worker));
    assert_eq!(supervisor.processes().await.or_fail().worker(), Some(worker));
    site.serve("two", "");
    assert!(matches!(reload(supervisor).await, Reload::Reloaded { .. }));
    site.until_it_answers("two").await;
}

/// What the master shows once no old worker is left.
async fn without_old_workers(supervisor: &Supervisor) -> Processes {
    let deadline = tokio::time::Instant::now() + CAP;
    loop {
        let all = supervisor.processes().await.or_fail();
        if all.old_workers().count() == 0 {
            return all;
        }
        assert!(tokio::time::Instant::now() < deadline, "still there after {CAP:?}: {all:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_good_file_is_served_by_a_new_worker_of_the_same_master() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let before = serving(&mut supervisor).await;
        let master = supervisor.adoptable();
        site.serve("two", "");
        let Reload::Reloaded { worker, .. } = reload(&mut supervisor).await else { panic!() };
        assert_ne!(worker, Some(before));
        site.until_it_answers("two").await;
        assert_eq!(site.worker(), worker);
        assert_eq!(supervisor.adoptable(), master);
    })
    .await;
}

#[tokio::test]
async fn a_refused_file_is_told_with_its_line_and_the_old_worker_serves_on() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let worker = serving(&mut supervisor).await;
        site.serve("two", "    nonsense here");
        for _ in 0..2 {
            let Reload::Refused { text } = reload(&mut supervisor).await else { panic!() };
            assert!(text.contains("unknown keyword 'nonsense'"), "{text}");
        }
        goes_on(site, &mut supervisor, worker).await;
    })
    .await;
}

/// From 3.1 on the master reads the file too, and some errors stop it before there is a new worker.
#[tokio::test]
async fn a_file_that_stops_the_master_itself_is_a_refusal_and_the_old_worker_serves_on() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let worker = serving(&mut supervisor).await;
        for reason in ["no nonsense", ".if nonsense"] {
            site.serve("two", &format!("    {reason}"));
            let Reload::Refused { text } = reload(&mut supervisor).await else { panic!() };
            assert!(text.contains("haproxy.cfg:"), "{text}");
            assert_eq!(supervisor.processes().await.or_fail().worker(), Some(worker));
        }
        goes_on(site, &mut supervisor, worker).await;
    })
    .await;
}

#[tokio::test]
async fn a_taken_port_is_a_refusal_and_the_old_worker_serves_on() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let worker = serving(&mut supervisor).await;
        let port = free_port().or_fail();
        let _taken = TcpListener::bind(("127.0.0.1", port)).or_fail();
        site.serve("two", &format!("    bind 127.0.0.1:{port}"));
        let Reload::Refused { text } = reload(&mut supervisor).await else { panic!() };
        assert!(text.contains(&port.to_string()), "{text}");
        goes_on(site, &mut supervisor, worker).await;
    })
    .await;
}

#[tokio::test]
async fn an_old_worker_is_counted_until_its_client_leaves() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let before = serving(&mut supervisor).await;
        let client = site.client_in_a_request();
        assert_eq!(reload(&mut supervisor).await.to_string(), "reloaded; old workers that finish: 1");
        let old: Vec<u32> = supervisor.processes().await.or_fail().old_workers().collect();
        assert_eq!(old, [before]);
        drop(client);
        without_old_workers(&supervisor).await;
        assert!(!site.processes().contains(&before));
    })
    .await;
}

#[tokio::test]
async fn after_twenty_reloads_no_old_worker_outlives_hard_stop_after() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let mut clients = Vec::new();
        for n in 0..20 {
            // Each holds its worker until that is stopped the hard way.
            clients.push(site.client_in_a_request());
            site.serve(&format!("file{n}"), "    timeout http-request 60s");
            assert!(matches!(reload(&mut supervisor).await, Reload::Reloaded { .. }));
        }
        site.until_it_answers("file19").await;
        let all = without_old_workers(&supervisor).await;
        assert_eq!((all.reloads, site.processes().len()), (20, 2));
        // 2 s of `hard-stop-after` are over, and the worker that serves is still the last one's.
        assert_eq!(all.worker(), site.worker());
    })
    .await;
}

#[tokio::test]
async fn a_master_that_dies_while_it_reloads_is_an_error_and_then_an_event() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        serving(&mut supervisor).await;
        let master = supervisor.adoptable().unwrap().pid;
        // One that stands still answers nothing, so the reload is surely under way when it is killed.
        send(master, Signal::STOP);
        let killing = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            send(master, Signal::KILL);
        };
        let (reloaded, ()) = tokio::join!(supervisor.reload(), killing);
        assert!(matches!(reloaded, Err(ProcessError::Ended { .. })), "{reloaded:?}");
        assert!(matches!(next(&mut supervisor).await, Event::Ended { .. }));
        serving(&mut supervisor).await;
        site.until_it_answers("one").await;
    })
    .await;
}

#[tokio::test]
async fn a_master_that_stands_still_is_an_error_and_not_the_end() {
    on_each(async |site| {
        let mut program = site.program();
        program.limits.answer = Duration::from_millis(300);
        let mut supervisor = Supervisor::start(program).await.or_fail();
        let worker = serving(&mut supervisor).await;
        let master = supervisor.adoptable().unwrap().pid;
        send(master, Signal::STOP);
        let error = supervisor.reload().await.unwrap_err();
        assert!(error.to_string().contains("gave no answer within"), "{error}");
        send(master, Signal::CONT);
        tokio::time::timeout(CAP, goes_on(site, &mut supervisor, worker)).await.or_fail();
    })
    .await;
}
