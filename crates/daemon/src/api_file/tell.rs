//! How the file of a HAProxy behind a Data Plane API is doing.

use roster_core::agenda::Agenda;
use roster_core::applied::Applied;
use roster_haproxy::dataplane::FileView;

use super::{ApiFile, Follows};
use crate::clock;
use crate::keeper::Passed;
use crate::own::{OwnStatus, Preview};

/// What the API has no word for, so that it is believed as the file says it.
const UNSEEN: &str = "the Data Plane API does not show weights and checks: they are believed to be as its file says; \
                      with `socket` Roster sees them";

/// How often an API is asked that has never answered before it counts as not there.
const CUT_OFF: u32 = 2;

impl ApiFile {
    /// How it is doing.
    pub(crate) fn status(&self) -> OwnStatus {
        let mut troubles = self.retry.told();
        troubles.extend([&self.unread, &self.unwritten].into_iter().flatten().cloned());
        if self.reach.socket.is_none() {
            troubles.push(UNSEEN.to_owned());
        }
        OwnStatus {
            api: Some(self.client.endpoint().to_string()),
            waiting: self.waiting.iter().cloned().collect(),
            due: self.due.map(|due| due.at).filter(|_| !self.waiting.is_empty()),
            is_cut_off: self.is_cut_off(),
            left_out: Vec::new(),
            hopeless: self.hopeless(),
            settles: self.follows != Follows::Nothing || self.is_about_to_look(),
            troubles,
            ..OwnStatus::default()
        }
    }

    /// Whether the API has answered nothing yet though it was asked again.
    fn is_cut_off(&self) -> bool {
        self.unread.is_some() && self.looks >= CUT_OFF && !self.is_up()
    }

    /// Whether it is looked what wants a reload, without a pause that keeps it from that.
    fn is_about_to_look(&self) -> bool {
        self.due.is_some() && self.retry.not_before.is_none() && !self.budget.told
    }

    /// What waits for a reload.
    pub(crate) fn planned(&self) -> Preview {
        Preview { reloads: self.waiting.iter().cloned().collect(), ..Preview::default() }
    }

    /// What a pass would do besides, by the file as [`ApiFile::find`] read it: why HAProxy would be reloaded.
    pub(crate) async fn preview(
        mut self,
        agenda: &Agenda,
        applied: &Applied,
        passed: &mut Passed,
    ) -> Preview {
        let now = clock::now();
        self.lacks(passed, now);
        self.ran(std::mem::take(&mut passed.lines), now);
        self.hear(agenda, agenda, true, now);
        passed.missing.clear();
        let Some(raw) = self.raw.as_ref() else { return Preview::default() };
        let Ok(process) = self.client.process().await else { return Preview::default() };
        let file = FileView::read(&raw.text);
        let structural = self.structural(agenda, applied, &file, process.version);
        passed.plans.retain(|backend, _| !self.leaves_alone(backend));
        let reloads: Vec<String> =
            structural.iter().map(|structural| structural.reason.to_string()).collect();
        passed.spare.retain(|backend, _| !self.leaves_alone(backend));
        let sheds = self.sheds(&passed.spare, process.version);
        Preview { reloads, sheds, ..Preview::default() }
    }
}
