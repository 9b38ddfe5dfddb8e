//! `roster demo`: a newcomer's first minute, with a real HAProxy, live traffic and a list to edit.
//!
//! The demo runs `roster run`, and that runs HAProxy, as anybody's would. Invariants: everything is on loopback and in
//! one temporary folder; however the demo ends, both are ended by their own number, also a HAProxy whose Roster was
//! killed, and the folder is removed.

mod client;
mod error;
mod files;
mod find;
mod haproxy;
mod load;
mod log;
mod process;
mod screen;
mod servers;
mod stage;
mod story;
mod tally;

use std::time::Duration;

use roster_config::env::ProcessEnv;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::DemoArgs;
use crate::exit::{Exit, Failure};
use error::DemoError;
use screen::{Abilities, Kind, Screen};
use stage::{Ended, Stage};

/// How long the traffic is shown after each change, at most.
const PACE: Duration = Duration::from_secs(3);
/// The story takes about twelve times its pace, which leaves some time in any case.
const PACES: u32 = 20;

/// Whoever asks the demo to end. In a terminal that closes (SIGHUP), too, nothing may be left running.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Runs the demo until it is asked to end. Exit code 1 if a request failed.
pub(crate) async fn demo(args: &DemoArgs) -> Result<Exit, Failure> {
    let limit = args.seconds.map(Duration::from_secs);
    // Listened for before anything is started, and to the end, so that a second Ctrl-C does not cut the end short.
    let mut signals = Signals::new().map_err(DemoError::Signals).map_err(anyhow::Error::from)?;
    let nobody_reads = CancellationToken::new();
    let screen = Screen::new(Abilities::of_stdout(&ProcessEnv), nobody_reads.clone());
    let mut stage = None;
    let played = tokio::select! {
        () = signals.any() => Ok(()),
        () = nobody_reads.cancelled() => Ok(()),
        () = after(limit) => Ok(()),
        played = play(args, &screen, pace(limit), &mut stage) => played,
    };
    let ended = match stage {
        Some(stage) => Some(stage.end().await),
        None => None,
    };
    let exit = ended.map_or(Ok(Exit::Done), |ended| sum_up(&screen, ended));
    played.and(exit).map_err(|error| anyhow::Error::from(error).into())
}

async fn play(
    args: &DemoArgs,
    screen: &Screen,
    pace: Duration,
    stage: &mut Option<Stage>,
) -> Result<(), DemoError> {
    let found = find::find(args.haproxy.as_deref(), &ProcessEnv).await?;
    stage.insert(Stage::new(screen.clone(), pace)?).play(&found).await
}

/// With little time the story is told faster.
fn pace(limit: Option<Duration>) -> Duration {
    limit.map_or(PACE, |limit| PACE.min(limit / PACES))
}

async fn after(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Says what there was to see.
fn sum_up(screen: &Screen, ended: Ended) -> Result<Exit, DemoError> {
    let Ended { tally, lives, folder } = ended;
    screen.gap();
    let (requests, failed) = (tally.requests(), tally.failed);
    let kind = if failed == 0 { Kind::Result } else { Kind::Trouble };
    let cut = if tally.cut > 0 { format!(", {} lost by the kill", tally.cut) } else { String::new() };
    let lives = lives.map(|lives| format!(", {}", lives.summary(true))).unwrap_or_default();
    screen.say(kind, &format!("{requests} requests, {failed} failed{cut}{lives}."));
    if let Some(fault) = &tally.last_fault {
        screen.say(kind, &format!("The last failure: {fault}."));
    }
    screen.say(Kind::Text, &format!("Roster and HAProxy are ended, {} is removed.", folder?.display()));
    Ok(if failed == 0 { Exit::Done } else { Exit::Failed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_little_time_the_story_is_told_faster() {
        assert_eq!(pace(None), PACE);
        assert_eq!(pace(Some(Duration::from_secs(600))), PACE);
        assert_eq!(pace(Some(Duration::from_secs(20))), Duration::from_secs(1));
    }

    #[test]
    fn a_failed_request_is_an_exit_code_of_1() {
        let screen = Screen::new(Abilities::default(), CancellationToken::new());
        let ended = |failed| Ended {
            tally: tally::Tally { failed, ..tally::Tally::default() },
            lives: None,
            folder: Ok("/tmp/roster-demo-x".into()),
        };
        assert_eq!(sum_up(&screen, ended(0)).unwrap(), Exit::Done);
        assert_eq!(sum_up(&screen, ended(1)).unwrap(), Exit::Failed);
    }
}
