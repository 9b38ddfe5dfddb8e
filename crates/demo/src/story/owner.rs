//! The part of the story that only the owner of HAProxy can tell: a service that HAProxy does not know yet, and
//! HAProxy's death.

use tokio::time::Instant;

use super::{CAP, Story, View, shown, silent};
use crate::client::fetch;
use crate::error::DemoError;
use crate::files::SHOP;
use crate::load::Load;
use crate::process::Other;

impl Story<'_> {
    pub(super) async fn a_new_service(&self, load: &Load) -> Result<(), DemoError> {
        self.step(&format!(
            "7. A second service, {SHOP}, is written into the list; HAProxy has no backend for it."
        ));
        let before = self.told();
        let took = self.list_until_serving(&self.everyone()).await?;
        let reloaded = self.wait_told(CAP, |told| told.reloads.len() > before.reloads.len()).await;
        reloaded.map_err(|cap| silent("Roster to tell of the reload", cap))?;
        self.until_told(|told| told.ready > before.ready).await;
        let who = fetch(self.ports.side, &format!("/{SHOP}")).await.map_err(DemoError::Shop)?;
        let reloads = self.told().reloads.split_off(before.reloads.len());
        let how = if let [why] = reloads.as_slice() {
            format!("One reload brought it: {why}")
        } else {
            format!("{} reloads brought it: {}", reloads.len(), reloads.join("; "))
        };
        self.result(&format!(
            "{how}. Its servers serve {} after the file changed; {who} answered.",
            shown(took)
        ));
        self.traffic(load).await;
        Ok(())
    }

    pub(super) async fn a_kill(&self, load: &Load) -> Result<(), DemoError> {
        self.step("8. HAProxy's worker is killed (kill -9).");
        let before = self.told();
        let pid = self.eye.look_again().await.map(|view| view.pid).unwrap_or_default();
        let worker = Other::of(pid, self.folder).await.ok_or(DemoError::NotKilled(pid))?;
        let (cut, killed) = (load.tally().cut, Instant::now());
        load.haproxy_is_killed();
        worker.kill().await;
        load.haproxy_is_gone();
        let everyone = self.everyone();
        let serves_again = |view: &View| view.pid != pid && self.serve(view, &everyone);
        let took = self.until("HAProxy to serve again", killed, serves_again).await?;
        self.until_told(|told| told.ended > before.ended && told.served > before.served).await;
        let lost = match load.tally().cut - cut {
            0 => String::new(),
            some => format!(" Requests that it was answering, and that are lost: {some}."),
        };
        self.result(&format!(
            "A new one serves {} later. Roster held the port, so who came meanwhile waited.{lost}",
            shown(took)
        ));
        self.traffic(load).await;
        Ok(())
    }

    fn everyone(&self) -> Vec<&'static str> {
        self.servers.iter().map(|server| server.entry.name).collect()
    }
}
