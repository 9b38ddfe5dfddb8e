//! What the demo tells: a list of servers changes, and HAProxy follows.

mod owner;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::client::Download;
use crate::error::DemoError;
use crate::files::{Entry, Ports, WEB, services_yaml};
use crate::haproxy::{Eye, LOOK_EVERY, Standing, View, write};
use crate::load::Load;
use crate::log::Told;
use crate::screen::{Kind, Screen};
use crate::servers::Server;
use crate::tally::{Lives, Status, Tally};

/// The longest that anything may take to show.
const CAP: Duration = Duration::from_secs(30);
/// How long Roster may take to tell what it did, once HAProxy shows it.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// How often the line at the bottom changes.
const LIVE_EVERY: Duration = Duration::from_millis(500);
/// What a line covers once the story is over.
const WINDOW: Duration = Duration::from_secs(2);
/// Who leaves and comes back.
const LEAVER: &str = "coral";

/// Everything that the story is told with.
pub(crate) struct Story<'a> {
    pub(crate) screen: &'a Screen,
    pub(crate) eye: &'a Eye,
    pub(crate) servers: &'a [Server],
    pub(crate) folder: &'a Path,
    /// HAProxy's frontends.
    pub(crate) ports: Ports,
    pub(crate) told: watch::Receiver<Told>,
    /// How long the traffic is shown after each change.
    pub(crate) pace: Duration,
}

/// The list that Roster reads.
pub(crate) fn list_file(folder: &Path) -> PathBuf {
    folder.join("services.yaml")
}

/// Writes the list beside its place and renames it there, so that it is never seen half-written.
pub(crate) fn write_list(folder: &Path, servers: &[Server], listed: &[&str]) -> Result<Instant, DemoError> {
    let entries: Vec<Entry> = servers.iter().map(|server| server.entry).collect();
    let (new, path) = (folder.join(".services.yaml.new"), list_file(folder));
    write(&new, &services_yaml(&entries, listed))?;
    let changed = Instant::now();
    std::fs::rename(new, &path).map_err(|source| DemoError::File { path, source })?;
    Ok(changed)
}

impl Story<'_> {
    /// Two servers, with which the traffic can begin.
    pub(crate) async fn begin(&self) -> Result<(), DemoError> {
        self.step("1. Two servers are written into services.yaml.");
        let before = self.told();
        let took = self.list_until_serving(&["amber", "blue"]).await?;
        self.until_told(|told| told.ready >= before.ready + 2).await;
        self.result(&format!("Both serve {} after the file changed.", shown(took)));
        Ok(())
    }

    /// All the rest.
    pub(crate) async fn go_on(&self, load: &Load) -> Result<(), DemoError> {
        self.traffic(load).await;
        self.two_more(load).await?;
        self.one_leaves(load).await?;
        self.it_returns(load).await?;
        self.a_mistake(load).await?;
        self.put_right(load).await?;
        self.a_new_service(load).await?;
        self.a_kill(load).await
    }

    /// Shows the traffic for ever.
    pub(crate) async fn watch(&self, load: &Load) {
        loop {
            let before = load.tally();
            tokio::time::sleep(WINDOW).await;
            let (kind, line) = self.status(load, &before).await;
            if self.screen.is_live() {
                self.screen.change_live(kind, &line);
            } else {
                self.screen.say(kind, &line);
            }
        }
    }

    async fn two_more(&self, load: &Load) -> Result<(), DemoError> {
        self.step("2. Two more are added to the list.");
        let before = self.told();
        let took = self.list_until_serving(&self.names()).await?;
        self.until_told(|told| told.ready >= before.ready + 2).await;
        self.result(&format!("All four serve {} after the file changed.", shown(took)));
        self.traffic(load).await;
        Ok(())
    }

    async fn one_leaves(&self, load: &Load) -> Result<(), DemoError> {
        self.step(&format!("3. {LEAVER} is taken off the list while somebody downloads from it."));
        let Some(leaver) = self.servers.iter().find(|server| server.entry.name == LEAVER) else {
            return Ok(());
        };
        leaver.linger(true);
        let download = Download::begin(self.ports.web, LEAVER).await.map_err(DemoError::Download)?;
        let before = self.told();
        let leaving = async {
            self.drained(leaver, &before, load).await?;
            leaver.linger(false);
            Ok(())
        };
        let downloading = async {
            let whole = download.finish().await;
            whole.map_err(DemoError::Download).map(|()| Instant::now())
        };
        let ((), ended) = tokio::try_join!(leaving, downloading)?;
        let is_out = |view: &View| view.standing(leaver.entry.addr) == Standing::Out;
        let took = self.until("the drained server to be out", ended, is_out).await?;
        self.until_told(|told| told.maint > before.maint).await;
        self.result(&format!("The download ended whole, and {LEAVER} was out {} later.", shown(took)));
        Ok(())
    }

    async fn drained(&self, leaver: &Server, before: &Told, load: &Load) -> Result<(), DemoError> {
        let staying: Vec<&str> = self.names().into_iter().filter(|name| *name != LEAVER).collect();
        let changed = self.list(&staying)?;
        let drains = |view: &View| matches!(view.standing(leaver.entry.addr), Standing::Draining(_));
        let took = self.until("the server that left to drain", changed, drains).await?;
        self.until_told(|told| told.drain > before.drain).await;
        self.result(&format!(
            "It gets nothing new {} after the file changed; the download goes on.",
            shown(took)
        ));
        self.traffic(load).await;
        Ok(())
    }

    async fn it_returns(&self, load: &Load) -> Result<(), DemoError> {
        self.step(&format!("4. {LEAVER} is put on the list again."));
        let before = self.told();
        let took = self.list_until_serving(&self.names()).await?;
        self.until_told(|told| told.ready > before.ready).await;
        self.result(&format!("It serves from its old slot {} after the file changed.", shown(took)));
        self.traffic(load).await;
        Ok(())
    }

    async fn a_mistake(&self, load: &Load) -> Result<(), DemoError> {
        self.step("5. By mistake the list is emptied.");
        let before = self.told();
        self.list(&[])?;
        let held = self.wait_told(CAP, |told| told.held > before.held).await;
        held.map_err(|cap| silent("Roster's guard to hold that back", cap))?;
        self.until("all four to serve as before", Instant::now(), |view| self.serve(view, &self.names()))
            .await?;
        self.result("Roster takes that for a failure and not for a wish: all four serve as before.");
        self.traffic(load).await;
        Ok(())
    }

    async fn put_right(&self, load: &Load) -> Result<(), DemoError> {
        self.step("6. The list is put right.");
        let before = self.told();
        let changed = self.list(&self.names())?;
        let released = self.wait_told(CAP, |told| told.released > before.released).await;
        released.map_err(|cap| silent("Roster's guard to let go", cap))?;
        self.result(&format!("The guard let go {} after the file changed.", shown(changed.elapsed())));
        self.traffic(load).await;
        Ok(())
    }

    /// The servers that get the traffic.
    fn names(&self) -> Vec<&'static str> {
        let web = self.servers.iter().filter(|server| server.entry.service == WEB);
        web.map(|server| server.entry.name).collect()
    }

    fn told(&self) -> Told {
        self.told.borrow().clone()
    }

    fn list(&self, listed: &[&str]) -> Result<Instant, DemoError> {
        write_list(self.folder, self.servers, listed)
    }

    async fn list_until_serving(&self, listed: &[&str]) -> Result<Duration, DemoError> {
        let changed = self.list(listed)?;
        self.until("all listed servers to serve", changed, |view| self.serve(view, listed)).await
    }

    fn serve(&self, view: &View, names: &[&str]) -> bool {
        let mut named = self.servers.iter().filter(|server| names.contains(&server.entry.name));
        named.all(|server| matches!(view.standing(server.entry.addr), Standing::Serving(_)))
    }

    /// Waits until HAProxy shows something, and says how long after `since` that was.
    async fn until(
        &self,
        what: &'static str,
        since: Instant,
        is_so: impl Fn(&View) -> bool,
    ) -> Result<Duration, DemoError> {
        let mut instead = String::new();
        let looking = async {
            loop {
                match self.eye.look().await {
                    Ok(view) if is_so(&view) => return since.elapsed(),
                    Ok(_) => "HAProxy shows another state".clone_into(&mut instead),
                    Err(why) => instead = why,
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let took = tokio::time::timeout(CAP, looking).await;
        took.map_err(|_| DemoError::NotShown { what, cap: CAP, instead })
    }

    /// Waits until Roster's lines are on the screen, so that they stand above what came of them.
    async fn until_told(&self, is_so: impl Fn(&Told) -> bool) {
        // What HAProxy shows is what counts; if the lines are late, they come below.
        self.wait_told(TOLD_WITHIN, |told| told.pending == 0 && is_so(told)).await.ok();
    }

    async fn wait_told(&self, cap: Duration, is_so: impl Fn(&Told) -> bool) -> Result<(), Duration> {
        let mut told = self.told.clone();
        match tokio::time::timeout(cap, told.wait_for(is_so)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(cap),
        }
    }

    /// Shows the traffic for a while: changing while it lasts, and then one line that stays.
    async fn traffic(&self, load: &Load) {
        let (before, end) = (load.tally(), Instant::now() + self.pace);
        loop {
            tokio::time::sleep_until(end.min(Instant::now() + LIVE_EVERY)).await;
            let (kind, line) = self.status(load, &before).await;
            if Instant::now() >= end {
                self.screen.end_live();
                self.screen.say(kind, &line);
                return;
            }
            self.screen.change_live(kind, &line);
        }
    }

    async fn status(&self, load: &Load, before: &Tally) -> (Kind, String) {
        let answers = self.eye.look_again().await.is_some();
        // Another process is seen a moment before Roster tells of it.
        self.wait_told(TOLD_WITHIN, |told| lives(self.eye, told).are_explained()).await.ok();
        let (lives, total) = (lives(self.eye, &self.told()), load.tally());
        let status = Status { total: &total, before, lives: &lives, answers };
        let kind = if status.is_well() { Kind::Traffic } else { Kind::Trouble };
        (kind, format!("   {}", status.render(&self.names())))
    }

    fn step(&self, text: &str) {
        self.screen.gap();
        self.screen.say(Kind::Title, text);
    }

    fn result(&self, text: &str) {
        self.screen.say(Kind::Result, &format!("   {text}"));
    }
}

/// What became of HAProxy so far.
pub(crate) fn lives(eye: &Eye, told: &Told) -> Lives {
    Lives { pids: eye.seen(), reloads: told.reloads.clone(), restarts: told.ended }
}

fn silent(what: &'static str, cap: Duration) -> DemoError {
    DemoError::NotShown { what, cap, instead: "its log says nothing of it".to_owned() }
}

/// A time as a person reads it.
fn shown(took: Duration) -> String {
    if took < Duration::from_secs(1) {
        format!("{} ms", took.as_millis().max(1))
    } else {
        format!("{:.1} s", took.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_what_matters() {
        let shown = [200, 38_400, 1_240_000].map(|micros| shown(Duration::from_micros(micros)));
        assert_eq!(shown, ["1 ms", "38 ms", "1.2 s"]);
    }
}
