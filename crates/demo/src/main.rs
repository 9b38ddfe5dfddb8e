//! The demonstration: a newcomer's first minute, with a real HAProxy, live traffic and a list to edit.
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

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use roster_config::env::ProcessEnv;
use roster_core::cause::chain;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use error::DemoError;
use screen::{Abilities, Kind, Screen};
use stage::{Ended, Stage};

/// How long the traffic is shown after each change, at most.
const PACE: Duration = Duration::from_secs(3);
/// The story takes about twelve times its pace, which leaves some time in any case.
const PACES: u32 = 20;

/// Shows Roster at work: a real `HAProxy`, changing servers, live traffic
#[derive(Debug, Parser)]
#[command(name = "roster-demo", version)]
struct Args {
    /// The haproxy program, 2.6 or later; else `$ROSTER_HAPROXY` or the one on PATH
    #[arg(long, value_name = "FILE", env = "ROSTER_HAPROXY")]
    haproxy: Option<PathBuf>,
    /// The roster program; else the one beside this program
    #[arg(long, value_name = "FILE")]
    roster: Option<PathBuf>,
    /// End after so many seconds
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// What the demo came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    AllAnswered,
    RequestsFailed,
}

/// The signals that end the demo. In a terminal that closes (SIGHUP), too, nothing may be left running.
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

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.map_err(DemoError::Runtime).and_then(|runtime| runtime.block_on(demo(&args)));
    match outcome {
        Ok(Outcome::AllAnswered) => ExitCode::SUCCESS,
        Ok(Outcome::RequestsFailed) => ExitCode::FAILURE,
        Err(error) => {
            // Where standard error is closed, the exit code is all that is left.
            writeln!(std::io::stderr().lock(), "roster-demo: {}", chain(&error)).ok();
            ExitCode::FAILURE
        }
    }
}

/// Runs the demo until it is asked to end.
async fn demo(args: &Args) -> Result<Outcome, DemoError> {
    let limit = args.seconds.map(Duration::from_secs);
    // Listened for before anything is started, and to the end, so that a second Ctrl-C does not cut the end short.
    let mut signals = Signals::new().map_err(DemoError::Signals)?;
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
    let outcome = ended.map_or(Ok(Outcome::AllAnswered), |ended| sum_up(&screen, ended));
    played.and(outcome)
}

async fn play(
    args: &Args,
    screen: &Screen,
    pace: Duration,
    stage: &mut Option<Stage>,
) -> Result<(), DemoError> {
    let roster = find::roster(args.roster.as_deref())?;
    let found = find::find(args.haproxy.as_deref(), &ProcessEnv).await?;
    stage.insert(Stage::new(screen.clone(), pace)?).play(&roster, &found).await
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
fn sum_up(screen: &Screen, ended: Ended) -> Result<Outcome, DemoError> {
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
    Ok(if failed == 0 { Outcome::AllAnswered } else { Outcome::RequestsFailed })
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
        assert_eq!(sum_up(&screen, ended(0)).unwrap(), Outcome::AllAnswered);
        assert_eq!(sum_up(&screen, ended(1)).unwrap(), Outcome::RequestsFailed);
    }
}
