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

use super::error::DemoError;
use super::files::{SLOTS, roster_yaml};
use super::find::Found;
use super::haproxy::{self, Eye, Reserved};
use super::load::Load;
use super::log::{self, Told};
use super::process::Process;
use super::screen::{Kind, Screen};
use super::servers::{self, Server};
use super::story::{Story, list_file, write_list};
use super::tally::Tally;

/// How long HAProxy may take to end. Nobody asks it for anything by then.
const HAPROXY_ENDS_WITHIN: Duration = Duration::from_secs(5);
/// How long HAProxy may take to answer for the last time.
const LAST_LOOK_WITHIN: Duration = Duration::from_secs(2);
/// How long Roster may take; it gives itself 10 s.
const ROSTER_ENDS_WITHIN: Duration = Duration::from_secs(15);

/// Everything that is running. What it holds is ended by [`end`](Self::end), however far `play` came.
#[derive(Debug)]
pub(super) struct Stage {
    screen: Screen,
    pace: Duration,
    folder: TempDir,
    reserved: Reserved,
    tasks: TaskTracker,
    stop: CancellationToken,
    haproxy: Option<Process>,
    roster: Option<Process>,
    load: Option<Load>,
    first_pid: Option<u32>,
}

/// What was left when all was ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// What became of the requests.
    pub(super) tally: Tally,
    /// Whether HAProxy is the process that it was at the start.
    pub(super) same_haproxy: bool,
    /// The folder, and what went wrong when it was removed.
    pub(super) folder: Result<PathBuf, DemoError>,
}

impl Stage {
    /// An empty one.
    pub(super) fn new(screen: Screen, pace: Duration) -> Result<Self, DemoError> {
        let only_mine = std::fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix("roster-demo-").permissions(only_mine).tempdir();
        Ok(Self {
            screen,
            pace,
            folder: folder.map_err(|source| DemoError::File { path: std::env::temp_dir(), source })?,
            reserved: Reserved::new()?,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            haproxy: None,
            roster: None,
            load: None,
            first_pid: None,
        })
    }

    /// Starts everything, tells the story and shows the traffic until something goes wrong. Can be dropped at any time.
    pub(super) async fn play(&mut self, found: &Found) -> Result<(), DemoError> {
        let folder = self.folder.path();
        let (eye, ports) = (Eye::new(folder), self.reserved.ports);
        let servers = servers::start(&self.tasks, &self.stop).await?;
        let haproxy = self.haproxy.insert(haproxy::start(found, folder, ports)?);
        let first_pid = eye.until_up(haproxy, folder).await?;
        self.first_pid = Some(first_pid);
        write_list(folder, &servers, &[])?;
        haproxy::write(&folder.join("roster.yaml"), &roster_yaml())?;
        let roster = self.roster.insert(start_roster(folder)?);
        let (tell, told) = watch::channel(Told::default());
        introduce(&self.screen, found, first_pid, &servers, roster.pid(), folder);
        if let Some(stderr) = roster.take_stderr() {
            self.tasks.spawn(log::show(stderr, self.screen.clone(), tell));
        }
        let (screen, pace, web) = (&self.screen, self.pace, ports.web);
        let story = Story { screen, eye: &eye, servers: &servers, folder, web, first_pid, told, pace };
        let load = &mut self.load;
        let telling = async {
            story.listening().await?;
            story.begin().await?;
            let load = load.insert(Load::start(web));
            story.go_on(load).await?;
            invite(&self.screen, folder, ports);
            story.watch(load).await;
            Ok(())
        };
        tokio::select! {
            told = telling => told,
            how = haproxy.ended() => Err(DemoError::Ended { name: "HAProxy", how, log: haproxy::said(folder) }),
            how = roster.ended() => Err(DemoError::Ended { name: "Roster", how, log: String::new() }),
        }
    }

    /// Ends everything, in the order in which nobody misses what is gone.
    pub(super) async fn end(self) -> Ended {
        self.screen.end_live();
        let tally = match self.load {
            Some(load) => load.end().await,
            None => Tally::default(),
        };
        let last = last_pid(self.folder.path()).await;
        if let Some(roster) = self.roster {
            roster.end(ROSTER_ENDS_WITHIN).await;
        }
        if let Some(haproxy) = self.haproxy {
            haproxy.end(HAPROXY_ENDS_WITHIN).await;
        }
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let path = self.folder.path().to_owned();
        let removed = self.folder.close();
        let folder = removed.map(|()| path.clone()).map_err(|source| DemoError::File { path, source });
        Ended { tally, same_haproxy: last.is_some() && last == self.first_pid, folder }
    }
}

/// The process that HAProxy is now.
async fn last_pid(folder: &Path) -> Option<u32> {
    let looked = tokio::time::timeout(LAST_LOOK_WITHIN, Eye::new(folder).look()).await;
    Some(looked.ok()?.ok()?.pid)
}

/// Roster as anybody would run it, but for the log, which is easier to read for a program in JSON.
fn start_roster(folder: &Path) -> Result<Process, DemoError> {
    let program = std::env::current_exe();
    let program = program.map_err(|source| DemoError::Start { program: "roster".into(), source })?;
    let mut command = Command::new(program);
    command.arg("run").arg("-c").arg(folder.join("roster.yaml")).arg("--state-dir").arg(folder.join("state"));
    Process::spawn(command.args(["--log-format", "json"]).stdout(Stdio::null()).stderr(Stdio::piped()))
}

fn introduce(screen: &Screen, found: &Found, pid: u32, servers: &[Server], roster: u32, folder: &Path) {
    let at = |server: &Server| format!("{} :{}", server.entry.name, server.entry.addr.port());
    let cast: Vec<String> = servers.iter().map(at).collect();
    screen.say(Kind::Title, "Roster keeps the servers of a HAProxy as a list says, while requests come in.");
    let text = format!(
        "   servers  {} on 127.0.0.1\n   HAProxy  {}, process {pid}, backend `web` with {SLOTS} free slots\n   \
         traffic  50 requests a second, each on a connection of its own\n   \
         Roster   process {roster}, reads the list in {}",
        cast.join(", "),
        found.version,
        list_file(folder).display(),
    );
    screen.say(Kind::Text, &text);
}

fn invite(screen: &Screen, folder: &Path, ports: super::files::Ports) {
    screen.gap();
    screen.say(Kind::Title, "Now it is your turn. Edit the list, save it, and see HAProxy follow:");
    let text = format!(
        "   the list    {}\n   in browser  http://{}/  (statistics: http://{}/)\n   to end      Ctrl-C",
        list_file(folder).display(),
        ports.web,
        ports.stats,
    );
    screen.say(Kind::Text, &text);
    screen.gap();
}
