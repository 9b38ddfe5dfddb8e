//! Spare servers that go because an operator asks for it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::applied::ProcessId;
use roster_core::plan::Compaction;
use roster_haproxy::name::{BackendName, ServerName};
use roster_haproxy::render::{ReloadReason, SectionKey};

use super::{Changed, Due, Own};
use crate::clock;
use crate::compaction::{How, strike};

impl Own {
    /// How the spare servers of backends can go: live, unless the file without them would want a reload.
    pub(crate) fn sheds(
        &mut self,
        agenda: &Agenda,
        spare: &BTreeMap<BackendName, Compaction>,
        now: Timestamp,
    ) -> BTreeMap<BackendName, How> {
        let before = self.reasons(agenda, now);
        let lines = self.lines.clone();
        for (backend, spare) in spare {
            strike(&mut self.lines, backend, &spare.going);
        }
        let after = self.reasons(agenda, now);
        self.lines = lines;
        let wants_reload = |backend: &BackendName| {
            let reason = ReloadReason::Servers(SectionKey::Backend(backend.clone()));
            after.contains(&reason) && !before.contains(&reason)
        };
        let how = |(backend, spare): (&BackendName, &Compaction)| {
            let is_live = spare.dynamic && !wants_reload(backend);
            (backend.clone(), if is_live { How::Live } else { How::Reload })
        };
        spare.iter().map(how).collect()
    }

    /// Has these servers go with one reload, at once. Where that cannot be, all stays as it was.
    pub(crate) async fn shed(
        &mut self,
        agenda: &Agenda,
        going: &BTreeMap<BackendName, Vec<ServerName>>,
        known: Option<ProcessId>,
        now: Timestamp,
    ) -> Changed {
        let lines = self.lines.clone();
        for (backend, servers) in going {
            strike(&mut self.lines, backend, servers);
        }
        self.due = Some(Due { since: now, at: now });
        let mut changed = self.see_to(agenda, known, now).await;
        while self.check.is_running() {
            self.check.ended().await;
            changed = self.see_to(agenda, known, clock::now()).await;
        }
        if !matches!(changed, Changed::Reloaded | Changed::Started) {
            // What it is tried again for must not come over servers that are in use by then.
            (self.lines, self.doubtful) = (lines, true);
            self.file_due = Some(now);
        }
        changed
    }
}
