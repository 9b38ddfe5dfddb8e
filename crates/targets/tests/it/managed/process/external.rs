//! A HAProxy that somebody else runs.

use std::time::Duration;

use roster_targets::managed::process::{External, Limits, ProcessError, Reload};
use roster_testkit::{Haproxy, HaproxyBin, HaproxyVersion, OrFail};

use super::CAP;
use super::site::until;

const CONFIG: &str = "frontend web\n    bind 127.0.0.1:{port:web}\n";

fn shell(script: &str) -> External {
    External::Command {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        limit: CAP,
    }
}

fn limits() -> Limits {
    Limits { reload: CAP, ..Limits::default() }
}

fn started(bin: &HaproxyBin) -> Haproxy {
    eprintln!("on {bin}");
    let haproxy = Haproxy::builder(bin).master_worker().config(CONFIG).start().or_fail();
    haproxy.master_cli("show proc").or_fail();
    haproxy
}

async fn reload(by: &External, haproxy: &Haproxy) -> Result<Reload, ProcessError> {
    by.reload(&limits(), async || haproxy.worker_pid().ok()).await
}

#[tokio::test]
async fn its_masters_socket_tells_what_came_of_a_reload() {
    for bin in HaproxyBin::each() {
        let mut haproxy = started(&bin);
        let before = haproxy.worker_pid().or_fail();
        let by = External::Master(haproxy.master_socket());
        let Reload::Reloaded { worker, .. } = reload(&by, &haproxy).await.or_fail() else { panic!() };
        assert_ne!(worker, Some(before));
        haproxy.set_config("nonsense").or_fail();
        assert!(matches!(reload(&by, &haproxy).await.or_fail(), Reload::Refused { .. }));
        assert_eq!(haproxy.worker_pid().ok(), worker);
    }
}

#[tokio::test]
async fn a_commands_success_counts_only_when_another_process_serves() {
    for bin in HaproxyBin::each() {
        let haproxy = started(&bin);
        let before = haproxy.worker_pid().or_fail();
        let by = shell(&format!("kill -USR2 {}", haproxy.pid()));
        let Reload::Reloaded { worker: Some(worker), .. } = reload(&by, &haproxy).await.or_fail() else {
            panic!()
        };
        assert_ne!(worker, before);
        until("the new worker", || haproxy.worker_pid().ok().filter(|pid| *pid == worker)).await;

        let limits = Limits { reload: Duration::from_millis(300), ..limits() };
        let idle = shell("true").reload(&limits, async || haproxy.worker_pid().ok()).await;
        let error = idle.unwrap_err();
        assert!(matches!(error, ProcessError::SameWorker { .. }), "{error}");
        assert!(error.to_string().contains("`/bin/sh -c true`"), "{error}");
    }
}

#[tokio::test]
async fn a_command_that_fails_is_a_refusal_with_what_it_wrote() {
    let bin = HaproxyBin::find(HaproxyVersion::V2_6).or_fail();
    let haproxy = started(&bin);
    let refused = reload(&shell("echo no such unit >&2; exit 5"), &haproxy).await.or_fail();
    assert_eq!(refused, Reload::Refused { text: "exit code 5: no such unit".to_owned() });

    let External::Command { program, arguments, .. } = shell("sleep 60") else { panic!() };
    let slow = External::Command { program, arguments, limit: Duration::from_millis(200) };
    let error = reload(&slow, &haproxy).await.unwrap_err();
    assert!(matches!(error, ProcessError::CommandTimedOut { .. }), "{error}");
    let missing = External::Command { program: "/nowhere/systemctl".into(), arguments: vec![], limit: CAP };
    let error = reload(&missing, &haproxy).await.unwrap_err();
    assert!(matches!(error, ProcessError::Command { .. }), "{error}");
}
