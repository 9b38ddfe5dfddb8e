//! What happens when HAProxy ends though nobody asked it to.

use std::time::Duration;

use roster_targets::managed::process::{Ended, Event, ProcessError};
use roster_testkit::OrFail;
use rustix::process::Signal;
use tokio::time::{Instant, timeout};

use super::site::{next, on_each, send, serving, until};

/// Fails however often it is tried, and counts.
fn dies_at_every_start(site: &super::site::Site) {
    site.serve("one", "    nonsense here");
}

fn starts(site: &super::site::Site) -> usize {
    site.output().matches("nonsense").count()
}

#[tokio::test]
async fn a_killed_worker_takes_its_master_along_and_both_are_back_at_once() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let worker = serving(&mut supervisor).await;
        send(worker, Signal::KILL);
        let Event::Ended { ended, restart_in, said, .. } = next(&mut supervisor).await else { panic!() };
        assert_eq!((ended, restart_in), (Ended::Code(137), Duration::ZERO));
        assert!(said.iter().any(|line| line.text.contains("exited with code 137")), "{said:?}");
        assert_ne!(serving(&mut supervisor).await, worker);
        site.until_it_answers("one").await;
    })
    .await;
}

#[tokio::test]
async fn a_killed_master_is_back_at_once_and_its_worker_leaves() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let worker = serving(&mut supervisor).await;
        send(supervisor.adoptable().unwrap().pid, Signal::KILL);
        let Event::Ended { ended, .. } = next(&mut supervisor).await else { panic!() };
        assert_eq!(ended, Ended::Signal(9));
        serving(&mut supervisor).await;
        site.until_it_answers("one").await;
        until("the orphan's end", || (!site.processes().contains(&worker)).then_some(())).await;
        assert_eq!(site.processes().len(), 2, "a master and its worker");
    })
    .await;
}

#[tokio::test]
async fn one_that_dies_at_every_start_is_told_once_and_does_not_spin() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        serving(&mut supervisor).await;
        dies_at_every_start(site);
        send(supervisor.adoptable().unwrap().pid, Signal::KILL);
        assert!(matches!(next(&mut supervisor).await, Event::Ended { .. }));
        let Event::NotStarted { error, retry_in } = next(&mut supervisor).await else { panic!() };
        assert!(matches!(&error, ProcessError::ConfigRefused { .. }), "{error}");
        assert_eq!(retry_in, Duration::from_millis(50));
        assert_eq!(supervisor.adoptable(), None);

        // Silence while it is tried again, each time after twice the pause.
        let began = Instant::now();
        let silence = Duration::from_secs(1);
        let event = timeout(silence, supervisor.next()).await;
        assert!(event.is_err(), "told again: {event:?}");
        // After 50, 100, 200, 400 ms and so on.
        let most = (1..).take_while(|n| Duration::from_millis(50 * (2_u64.pow(*n) - 1)) <= began.elapsed());
        let tries = starts(site);
        assert!(tries >= 2 && tries <= 2 + most.count(), "{tries} starts in {:?}", began.elapsed());

        // Another reason is told, and a good file ends it without anybody's help.
        site.write("more nonsense\n");
        let Event::NotStarted { error, .. } = next(&mut supervisor).await else { panic!() };
        assert!(error.to_string().contains("more"), "{error}");
        site.serve("two", "");
        serving(&mut supervisor).await;
        assert_eq!(site.get().as_deref(), Some("two"));
    })
    .await;
}

#[tokio::test]
async fn a_reload_of_one_that_is_down_starts_it_at_once() {
    on_each(async |site| {
        let mut program = site.program();
        program.limits.backoff.first = Duration::from_secs(600);
        program.limits.backoff.most = Duration::from_secs(600);
        let mut supervisor = roster_targets::managed::process::Supervisor::start(program).await.or_fail();
        serving(&mut supervisor).await;
        dies_at_every_start(site);
        send(supervisor.adoptable().unwrap().pid, Signal::KILL);
        next(&mut supervisor).await;
        next(&mut supervisor).await;
        let refused = supervisor.reload().await.or_fail();
        assert!(refused.to_string().contains("nonsense"), "{refused}");
        site.serve("two", "");
        let reloaded = supervisor.reload().await.or_fail();
        assert_eq!(reloaded.to_string(), "reloaded");
        assert_eq!(site.get().as_deref(), Some("two"));
    })
    .await;
}

#[tokio::test]
async fn dropping_what_waits_loses_neither_haproxy_nor_the_event() {
    on_each(async |site| {
        let mut supervisor = site.start().await;
        let worker = serving(&mut supervisor).await;
        send(worker, Signal::KILL);
        // Dropped again and again, wherever it stands, it gets on all the same.
        let served = async {
            for patience in 1.. {
                if let Ok(event) = timeout(Duration::from_millis(patience), supervisor.next()).await
                    && let Event::Serving { .. } = event
                {
                    return;
                }
            }
        };
        timeout(super::CAP, served).await.or_fail();
        assert_eq!(site.get().as_deref(), Some("one"));
        assert_eq!(site.processes().len(), 2);
    })
    .await;
}
