//! What a keeper does besides, where Roster owns the HAProxy itself.

use roster_core::applied::ProcessId;
use roster_targets::Target;

use super::owner::Owner;
use super::schedule::Step;
use super::{Keeper, Passed, Takeover};
use crate::clock;
use crate::own::Changed;

impl<T: Target> Keeper<T>
where
    T::Error: Takeover,
{
    /// Whether there is a HAProxy to speak to.
    pub(super) fn is_up(&self) -> bool {
        self.own.as_ref().is_none_or(Owner::is_up)
    }

    /// Writes, reloads or starts what is due. Answers whether anything was.
    pub(super) async fn see_to_own(&mut self) -> bool {
        let now = clock::now();
        let Some(own) = &mut self.own else { return false };
        if own.wake().is_none_or(|at| at > now) {
            return false;
        }
        if own.goes_after_servers() && own.is_up() && matches!(self.schedule.step(now), Step::Pass(_)) {
            return false;
        }
        let before = self.applied.process;
        match own.see_to(&self.agenda, &self.applied, now).await {
            Changed::Nothing => {}
            Changed::Started | Changed::Added => self.schedule.add(self.agenda.items.keys()),
            Changed::Reloaded => self.follow(before).await,
        }
        self.show_own();
        true
    }

    /// Shows how the HAProxy itself is doing.
    pub(super) fn show_own(&self) {
        let now = clock::now();
        let Some(shown) = self.own.as_ref().map(|own| own.status(&self.agenda, now)) else { return };
        self.status.send_if_modified(|status| {
            let new = status.own.as_ref() != Some(&shown);
            status.own = Some(shown);
            new
        });
    }

    /// HAProxy reloaded because Roster said so: what was true of the process before is true of the new one, to which the
    /// servers' state went over.
    pub(super) async fn follow(&mut self, before: Option<ProcessId>) {
        let mut after = before;
        for _ in 0..FOLLOW {
            if let Ok(process) = self.target.identify().await
                && Some(process) != before
            {
                after = Some(process);
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        for record in self.applied.backends.values_mut().filter(|record| record.process == before) {
            record.process = after;
        }
        self.applied.process = after;
        if let Err(error) = self.store.keep_process(&self.name, after) {
            crate::wiring::told(&error, &self.reporter);
        }
        self.schedule.add(self.agenda.items.keys());
    }

    /// The process began to serve, or ended.
    pub(super) fn own_changed(&mut self, serves: bool) {
        if serves {
            self.schedule.hurry(clock::now());
            self.schedule.add(self.agenda.items.keys());
        }
        if let Some(own) = &mut self.own {
            own.look(&self.agenda, clock::now());
        }
        self.show_own();
    }

    /// Keeps current how many workers finish what they have.
    pub(super) async fn see_to_old_workers(&mut self) {
        let Some(own) = &mut self.own else { return };
        own.see_to_old_workers().await;
        let shown = self.status.borrow().own.as_ref().and_then(|own| own.old_workers);
        if own.old_workers() != shown {
            self.show_own();
        }
    }

    /// The file follows what runs.
    pub(super) fn ran(&mut self, passed: &mut Passed) {
        if let Some(own) = &mut self.own {
            let now = clock::now();
            if let Some(process) = passed.process {
                own.seen(process, now);
            }
            own.ran(passed, now);
            own.look(&self.agenda, now);
        }
        self.show_own();
    }
}

/// How often, and how long after one another, the runtime socket is asked for the process that took over.
const FOLLOW: u32 = 100;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// Waits for the process to begin to serve or to end.
pub(super) async fn own_changed(own: &mut Option<Owner>) -> bool {
    match own {
        Some(own) => own.changed().await,
        None => std::future::pending().await,
    }
}
