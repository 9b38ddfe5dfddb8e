//! Started, ended, let go of, taken over.

use std::net::TcpListener;
use std::time::Duration;

use roster_targets::managed::process::{
    Adoptable, Ended, Event, Patience, ProcessError, Program, Stopped, Supervisor,
};
use roster_testkit::{HaproxyBin, HaproxyVersion, OrFail, free_port};
use rustix::process::{Pid, Signal, getpgid};

use super::CAP;
use super::site::{Site, is_alive, next, on_each, send, serving, until};

/// Nobody is connected in these tests, so nobody has to be waited for.
const PATIENCE: Patience = Patience { graceful: CAP, term: Duration::from_secs(5) };

async fn refusal(program: Program) -> ProcessError {
    Supervisor::start(program).await.map(drop).unwrap_err()
}

#[tokio::test]
async fn what_was_started_serves_and_ends_when_it_is_told_to() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        assert_eq!(site.get().as_deref(), Some("one"), "it serves as soon as start returns");
        let Event::Serving { master, worker } = next(&mut supervisor).await else { panic!() };
        assert_eq!(supervisor.adoptable(), Some(master));
        assert_eq!(Some(worker), site.worker());
        let stopped = supervisor.stop(PATIENCE).await;
        assert_eq!(stopped, Stopped::Gracefully(Ended::Code(0)));
        assert_eq!(site.processes(), Vec::<u32>::new());
    })
    .await;
}

#[tokio::test]
async fn one_that_has_to_wait_for_a_client_is_ended_at_once_after_that() {
    on_each(async |site| {
        site.serve("one", "    timeout http-request 60s");
        let supervisor = site.start().await;
        let _client = site.client_in_a_request();
        let patience = Patience { graceful: Duration::from_millis(200), term: CAP };
        let stopped = supervisor.stop(patience).await;
        assert!(matches!(stopped, Stopped::AtOnce(_)), "{stopped:?}");
        assert_eq!(site.processes(), Vec::<u32>::new());
    })
    .await;
}

#[tokio::test]
async fn a_paused_one_is_killed_with_its_worker() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let worker = serving(&mut supervisor).await;
        let master = supervisor.adoptable().unwrap().pid;
        send(worker, Signal::STOP);
        send(master, Signal::STOP);
        let patience = Patience { graceful: Duration::ZERO, term: Duration::from_millis(100) };
        assert_eq!(supervisor.stop(patience).await, Stopped::Killed(Ended::Signal(9)));
        until("the worker's end", || (!is_alive(worker)).then_some(())).await;
    })
    .await;
}

#[tokio::test]
async fn a_file_that_says_daemon_starts_in_the_foreground_all_the_same() {
    on_each(async |site| {
        site.serve("one", "global\n    daemon");
        let supervisor = site.start().await;
        assert!(is_alive(supervisor.adoptable().unwrap().pid));
        supervisor.stop(PATIENCE).await;
    })
    .await;
}

#[tokio::test]
async fn it_leads_a_group_of_its_own_so_ctrl_c_does_not_reach_it() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let worker = serving(&mut supervisor).await;
        let master = supervisor.adoptable().unwrap().pid;
        let group = |pid: u32| getpgid(Pid::from_raw(i32::try_from(pid).or_fail())).or_fail();
        assert_eq!(group(master), Pid::from_raw(i32::try_from(master).or_fail()).unwrap());
        assert_eq!(group(worker), group(master));
        assert_ne!(group(master), getpgid(None).or_fail());
    })
    .await;
}

#[tokio::test]
async fn a_refused_file_is_told_with_what_haproxy_says_of_it() {
    on_each(async |site| {
        site.serve("one", "    nonsense here");
        let error = refusal(site.program()).await;
        assert!(matches!(&error, ProcessError::ConfigRefused { .. }), "{error}");
        assert!(error.to_string().contains("unknown keyword 'nonsense'"), "{error}");
        assert_eq!(site.processes(), Vec::<u32>::new());
    })
    .await;
}

#[tokio::test]
async fn a_taken_port_is_told_with_its_number() {
    on_each(async |site| {
        let port = free_port().or_fail();
        let _taken = TcpListener::bind(("127.0.0.1", port)).or_fail();
        site.serve("one", &format!("    bind 127.0.0.1:{port}"));
        let error = refusal(site.program()).await;
        assert!(matches!(&error, ProcessError::AddressInUse { .. }), "{error}");
        assert!(error.to_string().contains(&port.to_string()), "{error}");
    })
    .await;
}

#[tokio::test]
async fn what_is_not_a_haproxy_of_today_is_refused_before_anything_starts() {
    on_each(async |site| {
        let with = |binary: &str| Program { binary: binary.into(), ..site.program() };
        let error = refusal(with("/nowhere/haproxy")).await;
        assert!(matches!(error, ProcessError::BinaryMissing(_)), "{error}");
        let error = refusal(with("/bin/cat")).await;
        assert!(matches!(error, ProcessError::NotHaproxy { .. }), "{error}");
        let error = refusal(with("/etc/passwd")).await;
        assert!(matches!(error, ProcessError::CannotRun { .. }), "{error}");

        let old = site.path("old");
        std::fs::write(&old, "#!/bin/sh\necho 'HA-Proxy version 1.8.30 2021/04/12'\n").or_fail();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&old, mode).or_fail();
        let error = refusal(Program { binary: old, ..site.program() }).await;
        assert!(error.to_string().contains("is HAProxy 1.8.30; Roster needs 2.6.0 or later"), "{error}");

        let error = refusal(Program { master_socket: "/tmp/a,b".into(), ..site.program() }).await;
        assert!(matches!(error, ProcessError::SocketPath(_)), "{error}");
        assert_eq!(site.processes(), Vec::<u32>::new());
    })
    .await;
}

#[tokio::test]
async fn a_second_one_is_not_started_beside_one_that_runs() {
    on_each(async |site| {
        let supervisor = site.start().await;
        let running = supervisor.detach().unwrap();
        let error = refusal(site.program()).await;
        assert!(matches!(error, ProcessError::RunsAlready { pid, .. } if pid == running.pid), "{error}");
        assert_eq!(site.program().running().await, Some(running));
    })
    .await;
}

#[tokio::test]
async fn the_next_roster_takes_over_without_touching_it() {
    on_each(async |site| {
        let mut first = site.start().await;
        let worker = serving(&mut first).await;
        let kept = serde_json::to_string(&first.adoptable().unwrap()).or_fail();
        drop(first);
        let known: Adoptable = serde_json::from_str(&kept).or_fail();
        let mut second = Supervisor::adopt(site.program(), known).await.or_fail();
        assert_eq!(serving(&mut second).await, worker, "no reload");
        assert_eq!(site.get().as_deref(), Some("one"));

        // It is followed and restarted like one's own.
        send(known.pid, Signal::KILL);
        let Event::Ended { pid, .. } = next(&mut second).await else { panic!() };
        assert_eq!(pid, known.pid);
        assert_ne!(serving(&mut second).await, worker);
        site.until_it_answers("one").await;
        second.stop(PATIENCE).await;
    })
    .await;
}

#[tokio::test]
async fn one_that_ended_meanwhile_is_not_adopted_nor_is_a_stranger() {
    on_each(async |site| {
        let supervisor = site.start().await;
        let known = supervisor.adoptable().unwrap();
        let stranger = Adoptable { started: known.started + 1, ..known };
        let adopting = async |known| Supervisor::adopt(site.program(), known).await.map(drop).unwrap_err();
        assert!(matches!(adopting(stranger).await, ProcessError::Gone { .. }));
        supervisor.stop(PATIENCE).await;
        assert!(matches!(adopting(known).await, ProcessError::Gone { .. }));
    })
    .await;
}

#[tokio::test]
async fn a_haproxy_on_another_socket_is_not_adopted() {
    on_each(async |site| {
        let one = site.start().await.detach().unwrap();
        let other = Site::new(&HaproxyBin::find(HaproxyVersion::V2_6).or_fail());
        let two = other.start().await.detach().unwrap();
        let error = Supervisor::adopt(other.program(), one).await.map(drop).unwrap_err();
        assert!(matches!(error, ProcessError::OtherMaster { found, .. } if found == two.pid), "{error}");
    })
    .await;
}
