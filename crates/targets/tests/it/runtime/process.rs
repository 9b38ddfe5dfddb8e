//! What happens to a batch when HAProxy is paused, killed, reloaded or restarted under it.

use std::time::Duration;

use roster_core::applied::ProcessId;
use roster_haproxy::cli::Command;
use roster_haproxy::observed::State;
use roster_targets::runtime::batch::Batch;
use roster_targets::runtime::session::{Break, Limits, Progress, SessionError, run};
use roster_testkit::{Haproxy, OrFail, Poll, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::spawn_blocking;

use super::gate::Gate;
use super::{CAP, address, many_servers, on_each, path, quick, state, weight, weights};

/// `prompt`, the severity and `show info`.
const GREETING: usize = 3;

#[tokio::test]
async fn a_paused_haproxy_is_an_error_and_got_nothing() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(&many_servers(2)).start().or_fail();
        haproxy.pause().or_fail();
        let error = Batch::new(&weights(3, 2)).run(&address(&haproxy), &quick()).await.unwrap_err();
        haproxy.resume();
        assert!(matches!(error, SessionError::Broken { cause: Break::Silent(_), .. }), "{error}");
        assert!(error.nothing_was_sent() && error.to_string().contains("paused"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_haproxy_paused_in_the_middle_tells_how_far_it_got() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(&many_servers(100)).start().or_fail();
        let gate = Gate::hold_after(GREETING + 40, haproxy.socket());
        let commands = weights(100, 100);
        // Long enough for a busy machine to come to the gate, which goes byte by byte.
        let limits = Limits { progress: Duration::from_secs(4), ..Limits::default() };
        let batch = Batch::new(&commands).run(&gate.address, &limits);
        let pausing = async {
            haproxy.pause().or_fail();
            gate.open();
        };
        let (ran, ()) = gate.meanwhile(batch, pausing).await;
        haproxy.resume();
        let error = ran.unwrap_err();
        assert!(matches!(error, SessionError::Broken { cause: Break::Silent(_), .. }), "{error}");
        assert_eq!(error.progress(), Some(Progress { answered: 40, sent: 100, of: 100 }));
    })
    .await;
}

#[tokio::test]
async fn a_haproxy_killed_in_the_middle_tells_how_far_it_got() {
    on_each(async |bin| {
        let mut haproxy = Haproxy::builder(bin).config(&many_servers(100)).start().or_fail();
        let gate = Gate::hold_after(GREETING + 40, haproxy.socket());
        let commands = weights(100, 100);
        let limits = Limits::default();
        let batch = Batch::new(&commands).run(&gate.address, &limits);
        let killing = async {
            haproxy.kill9().or_fail();
        };
        let (ran, ()) = gate.meanwhile(batch, killing).await;
        let error = ran.unwrap_err();
        assert!(matches!(error, SessionError::Broken { cause: Break::Closed { .. }, .. }), "{error}");
        assert_eq!(error.progress(), Some(Progress { answered: 40, sent: 100, of: 100 }));
    })
    .await;
}

/// R1: the connection stays with the old process, which answers to the end; what is set there is lost.
#[tokio::test]
async fn a_reload_in_the_middle_is_noticed_though_every_command_was_answered() {
    on_each(async |bin| {
        let mut haproxy = Haproxy::builder(bin).master_worker().config(&many_servers(100)).start().or_fail();
        let old = haproxy.worker_pid().or_fail();
        let gate = Gate::hold_after(GREETING + 40, haproxy.socket());
        let commands = weights(100, 100);
        let limits = Limits::default();
        let batch = Batch::new(&commands).run(&gate.address, &limits);
        let reloading = async {
            let haproxy = spawn_blocking(move || {
                haproxy.reload().or_fail();
                haproxy
            });
            let haproxy = haproxy.await.or_fail();
            gate.open();
            haproxy
        };
        let (ran, haproxy) = gate.meanwhile(batch, reloading).await;
        let error = ran.unwrap_err();
        let SessionError::ProcessChanged { before, after, progress } = &error else { panic!("{error}") };
        assert_eq!((before.pid, after.pid), (old, haproxy.worker_pid().or_fail()));
        assert_eq!(*progress, Progress { answered: 100, sent: 100, of: 100 });
        assert_eq!(haproxy.server("web", "s99").or_fail().uweight, 1, "the new process never saw it");
    })
    .await;
}

/// R1 again: a process that a reload replaced refuses every change, and the refusal is told from success.
#[tokio::test]
async fn the_old_process_after_a_reload_refuses_changes() {
    on_each(async |bin| {
        let mut haproxy = Haproxy::builder(bin).master_worker().config(&many_servers(2)).start().or_fail();
        let gate = Gate::hold_after(2, haproxy.socket());
        let commands = [weight("s0", 9), state("web", "s0", State::Maint)];
        let limits = Limits::default();
        let session = run(&gate.address, &limits, &commands);
        let reloading = async {
            let haproxy = spawn_blocking(move || {
                haproxy.reload().or_fail();
                // The old process is told to finish a moment after the new one is ready.
                haproxy
            });
            let haproxy = haproxy.await.or_fail();
            let old_is_stopping = wait_until(CAP, "the old worker's end", || {
                let shown = haproxy.master_cli("show proc").unwrap_or_default();
                Poll::when(shown, |text| text.contains("# old workers"))
            });
            old_is_stopping.or_fail();
            gate.open();
            haproxy
        };
        let (ran, _haproxy) = gate.meanwhile(session, reloading).await;
        let replies = ran.or_fail();
        for (command, reply) in commands.iter().zip(&replies) {
            assert_eq!(reply.verdict(command), Err(roster_haproxy::cli::Refusal::ProxyDisabled), "{command}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_restarted_haproxy_is_another_process_and_gets_nothing() {
    on_each(async |bin| {
        let mut haproxy = Haproxy::builder(bin).config(&many_servers(2)).start().or_fail();
        let limits = Limits::default();
        let first = Batch::new(&weights(2, 2)).run(&address(&haproxy), &limits).await.or_fail();
        let known = ProcessId::from(&first.process);
        let again = Batch::new(&weights(2, 2)).expecting(known).run(&address(&haproxy), &limits).await;
        assert_eq!(ProcessId::from(&again.or_fail().process), known, "the same process stays the same");

        haproxy.restart().or_fail();
        let error = Batch::new(&[weight("s0", 99)]).expecting(known).run(&address(&haproxy), &limits).await;
        let error = error.unwrap_err();
        let SessionError::OtherProcess { expected, found } = &error else { panic!("{error}") };
        assert_eq!((*expected, found.pid), (known, haproxy.pid()));
        assert!(error.nothing_was_sent());
        assert_eq!(haproxy.server("web", "s0").or_fail().uweight, 1);
    })
    .await;
}

/// R2: HAProxy ends a session on which nothing comes (`stats timeout`, 10 s by default).
#[tokio::test]
async fn a_session_that_haproxy_ends_for_idleness_is_an_error_and_the_next_batch_is_not_touched() {
    on_each(async |bin| {
        let haproxy =
            Haproxy::builder(bin).global("stats timeout 200ms").config(&many_servers(2)).start().or_fail();
        let gate = Gate::hold_after(GREETING + 1, haproxy.socket());
        let commands = weights(2, 2);
        let limits = Limits { progress: Duration::from_secs(2), ..Limits::default() };
        let error = Batch::new(&commands).run(&gate.address, &limits).await.unwrap_err();
        // 2.6 ends some sessions and keeps others; a silent one is given up by Roster.
        let SessionError::Broken { cause, progress, .. } = &error else { panic!("{error}") };
        let is_old = bin.branch() < (3, 0);
        assert!(
            matches!(cause, Break::Closed { .. }) || is_old && matches!(cause, Break::Silent(_)),
            "{error}"
        );
        assert_eq!(*progress, Progress { answered: 1, sent: 2, of: 2 });
        assert!(Batch::new(&commands).run(&address(&haproxy), &limits).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_stopping_haproxy_is_told_from_one_that_serves() {
    on_each(async |bin| {
        let haproxy = Haproxy::builder(bin).config(&many_servers(2)).start().or_fail();
        let gate = Gate::hold_after(2, haproxy.socket());
        let commands = [Command::ShowBackend, Command::DelServer(path("web", "s0"))];
        let limits = Limits::default();
        let batch = Batch::new(&commands).run(&gate.address, &limits);
        let stopping = async {
            let pid = i32::try_from(haproxy.pid()).ok().and_then(Pid::from_raw).unwrap();
            kill_process(pid, Signal::USR1).or_fail();
            // A finishing HAProxy closes its listening sockets at once; this connection it keeps.
            let closed = wait_until(CAP, "the end of listening", || haproxy.cli("show info").is_err());
            closed.or_fail();
            gate.open();
        };
        let (ran, ()) = gate.meanwhile(batch, stopping).await;
        let error = ran.unwrap_err();
        assert!(matches!(error, SessionError::Stopping { .. }), "{error}");
        assert!(error.nothing_was_sent(), "{error}");
    })
    .await;
}
