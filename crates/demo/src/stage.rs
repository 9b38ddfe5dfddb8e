//! What the demo has started so far, and how it is ended.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::DemoError;
use crate::files::{CFG, Ports, SHOP, SLOTS, WEB, roster_yaml};
use crate::find::Found;
use crate::haproxy::{self, Eye, Reserved, STATE};
use crate::load::Load;
use crate::log::{self, Told};
use crate::process::Process;
use crate::screen::{Kind, Screen};
use crate::servers::{self, Server};
use crate::story::{Story, list_file, lives, write_list};
use crate::tally::{Lives, Tally};

/// How long Roster may take; it gives itself 10 s, and HAProxy a few.
const ROSTER_ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Everything that is running. What it holds is ended by [`end`](Self::end), however far `play` came.
#[derive(Debug)]
pub(crate) struct Stage {
    screen: Screen,
    pace: Duration,
    folder: TempDir,
    reserved: Reserved,
    tasks: TaskTracker,
    stop: CancellationToken,
    eye: Eye,
    tell: watch::Sender<Told>,
    roster: Option<Process>,
    load: Option<Load>,
}

/// What was left when all was ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What became of the requests.
    pub(crate) tally: Tally,
    /// What became of HAProxy; nothing if it did not answer at the end.
    pub(crate) lives: Option<Lives>,
    /// The folder, and what went wrong when it was removed.
    pub(crate) folder: Result<PathBuf, DemoError>,
}

impl Stage {
    /// An empty one.
    pub(crate) fn new(screen: Screen, pace: Duration) -> Result<Self, DemoError> {
        let only_mine = std::fs::Permissions::from_mode(0o700);
        let base = haproxy::base();
        let folder = tempfile::Builder::new().prefix("roster-demo-").permissions(only_mine).tempdir_in(&base);
        let folder = folder.map_err(|source| DemoError::File { path: base, source })?;
        Ok(Self {
            screen,
            pace,
            eye: Eye::new(folder.path()),
            folder,
            reserved: Reserved::new()?,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            tell: watch::Sender::default(),
            roster: None,
            load: None,
        })
    }

    /// Starts everything, tells the story and shows the traffic until something goes wrong. Can be dropped at any time.
    pub(crate) async fn play(&mut self, roster: &Path, found: &Found) -> Result<(), DemoError> {
        let (folder, eye, ports) = (self.folder.path(), &self.eye, self.reserved.ports);
        let servers = servers::start(&self.tasks, &self.stop).await?;
        write_list(folder, &servers, &[])?;
        let binary = std::path::absolute(&found.path).unwrap_or_else(|_| found.path.clone());
        haproxy::write(&folder.join("roster.yaml"), &roster_yaml(&binary, ports))?;
        let roster = self.roster.insert(start_roster(roster, folder)?);
        if let Some(stderr) = roster.take_stderr() {
            self.tasks.spawn(log::show(stderr, self.screen.clone(), self.tell.clone()));
        }
        let (screen, pace, told) = (&self.screen, self.pace, self.tell.subscribe());
        let (pid, load) = (roster.pid(), &mut self.load);
        let telling = async {
            let first = eye.until_up(told.clone(), folder).await?;
            introduce(screen, found, first, &servers, pid, folder);
            let story = Story { screen, eye, servers: &servers, folder, ports, told, pace };
            story.begin().await?;
            let load = load.insert(Load::start(ports.web));
            story.go_on(load).await?;
            invite(screen, folder, ports);
            story.watch(load).await;
            Ok(())
        };
        tokio::select! {
            told = telling => told,
            how = roster.ended() => Err(DemoError::Ended(how)),
        }
    }

    /// Ends everything, in the order in which nobody misses what is gone.
    pub(crate) async fn end(self) -> Ended {
        self.screen.end_live();
        let tally = match self.load {
            Some(load) => load.end().await,
            None => Tally::default(),
        };
        let last = self.eye.look_again().await;
        let lives = last.map(|_| lives(&self.eye, &self.tell.borrow()));
        if let Some(roster) = self.roster {
            roster.end(ROSTER_ENDS_WITHIN).await;
        }
        haproxy::end_what_is_left(self.folder.path()).await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let path = self.folder.path().to_owned();
        let removed = self.folder.close();
        let folder = removed.map(|()| path.clone()).map_err(|source| DemoError::File { path, source });
        Ended { tally, lives, folder }
    }
}

/// Roster as anybody would run it, but for the log, which is easier to read for a program in JSON.
fn start_roster(program: &Path, folder: &Path) -> Result<Process, DemoError> {
    let mut command = Command::new(program);
    command.arg("run").arg("-c").arg(folder.join("roster.yaml")).arg("--state-dir").arg(folder.join(STATE));
    command.env("XDG_STATE_HOME", folder);
    Process::spawn(command.args(["--log-format", "json"]).stdout(Stdio::null()).stderr(Stdio::piped()))
}

fn introduce(screen: &Screen, found: &Found, pid: u32, servers: &[Server], roster: u32, folder: &Path) {
    let of = |service: &str| {
        let its = servers.iter().map(|server| server.entry).filter(|entry| entry.service == service);
        its.map(|entry| format!("{} :{}", entry.name, entry.addr.port())).collect::<Vec<_>>().join(", ")
    };
    screen.say(
        Kind::Title,
        "Roster runs a HAProxy and keeps its servers as a list says, while requests come in.",
    );
    let text = format!(
        "   servers  {} on 127.0.0.1\n   \
         later    {}, of a second service\n   \
         Roster   process {roster}, reads the list in {}\n   \
         HAProxy  {}, process {pid}, started by Roster; backend `{WEB}` with {SLOTS} free slots\n   \
         traffic  50 requests a second, each on a connection of its own",
        of(WEB),
        of(SHOP),
        list_file(folder).display(),
        found.version,
    );
    screen.say(Kind::Text, &text);
}

fn invite(screen: &Screen, folder: &Path, ports: Ports) {
    let Ports { web, side } = ports;
    screen.gap();
    screen.say(Kind::Title, "Now it is your turn. Edit the list, save it, and see HAProxy follow:");
    let text = format!(
        "   the list    {}\n   in browser  http://{web}/\n   {SHOP}        http://{side}/{SHOP}\n   \
         statistics  http://{side}/stats\n   written     {}, by Roster\n   to end      Ctrl-C",
        list_file(folder).display(),
        folder.join(CFG).display(),
    );
    screen.say(Kind::Text, &text);
    screen.gap();
}
