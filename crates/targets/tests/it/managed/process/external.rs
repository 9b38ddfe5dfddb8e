//! A HAProxy that somebody else runs.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use roster_targets::managed::Environment;
use roster_targets::managed::process::{External, Limits, ProcessError, Reload};
use roster_testkit::{Haproxy, HaproxyBin, HaproxyVersion, OrFail, cli_at};
use rustix::fs::{CWD, Mode, mkfifoat};
use tokio::time::sleep;

use super::CAP;
use super::site::{on_each, until};

const CONFIG: &str = "frontend web\n    bind 127.0.0.1:{port:web}\n";

fn shell(script: &str) -> External {
    External::Command {
        program: "/bin/sh".into(),
        arguments: vec!["-c".to_owned(), script.to_owned()],
        environment: Environment::default(),
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

/// From 3.1 on a master takes commands while its worker still reads the file, and refuses to reload then. Older ones answer
/// nobody.
#[tokio::test]
async fn a_reload_while_haproxy_still_starts_is_done_once_it_has_started() {
    on_each(async |site| {
        // Reading this file waits until something is written there.
        let (words, pipe) = (site.path("words"), site.path("pipe"));
        mkfifoat(CWD, &words, Mode::RUSR | Mode::WUSR).or_fail();
        site.serve("one", &format!("    http-request deny if {{ path -f {} }}", words.display()));
        let socket = site.path("master.sock");
        let mut haproxy = Command::new(site.bin.path());
        haproxy.args(["-W", "-db", "-S"]).arg(&socket).arg("-f").arg(site.path("haproxy.cfg"));
        let mut haproxy = haproxy.stderr(Stdio::null()).spawn().or_fail();

        let by = External::Master(socket.clone());
        let limits = Limits { answer: CAP, ..limits() };
        let mut reload = Box::pin(by.reload(&limits, async || None));
        let refused = async {
            let busy = |text: &str| text.contains("still in progress");
            while site.bin.branch() > (3, 0) && !cli_at(&socket, "reload").is_ok_and(|text| busy(&text)) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            early = &mut reload => panic!("{early:?}"),
            () = refused => {}
        }
        fs::rename(&words, &pipe).or_fail();
        fs::write(&words, "/a\n").or_fail();
        // Opened for both, a pipe waits for nobody.
        let mut pipe = fs::OpenOptions::new().read(true).write(true).open(pipe).or_fail();
        pipe.write_all(b"/a\n").or_fail();
        drop(pipe);
        assert_eq!(reload.await.or_fail().to_string(), "reloaded");
        haproxy.kill().or_fail();
        haproxy.wait().or_fail();
    })
    .await;
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
    let slow = External::Command {
        program,
        arguments,
        environment: Environment::default(),
        limit: Duration::from_millis(200),
    };
    let error = reload(&slow, &haproxy).await.unwrap_err();
    assert!(matches!(error, ProcessError::CommandTimedOut { .. }), "{error}");
    let missing = External::Command {
        program: "/nowhere/systemctl".into(),
        arguments: vec![],
        environment: Environment::default(),
        limit: CAP,
    };
    let error = reload(&missing, &haproxy).await.unwrap_err();
    assert!(matches!(error, ProcessError::Command { .. }), "{error}");
}
