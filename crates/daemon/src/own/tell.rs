//! What is to be told of a HAProxy that Roster owns: how it is doing, and why it would be reloaded.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use roster_core::agenda::Agenda;
use roster_core::times::Times;
use roster_haproxy::name::BackendName;
use roster_haproxy::render::{ReloadReason, Rendered, render};
use serde::{Deserialize, Serialize};

use super::Own;
use crate::clock;
use crate::compaction::How;
use crate::keeper::Passed;

/// How a HAProxy that Roster owns is doing.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct OwnStatus {
    /// The Data Plane API that has HAProxy's file; none where Roster has it itself.
    #[serde(default)]
    pub api: Option<String>,
    /// The master; none while none serves.
    pub master: Option<u32>,
    /// How many workers finish the connections that they had when they were replaced; none where that is not known, as
    /// where somebody else runs HAProxy.
    #[serde(default)]
    pub old_workers: Option<usize>,
    /// Why HAProxy is to be reloaded.
    pub waiting: Vec<String>,
    /// When that is due.
    pub due: Option<Timestamp>,
    /// What is wanted and will not come as things are, and why.
    #[serde(default)]
    pub left_out: Vec<String>,
    /// Whether it is about to be found out what else there is to do.
    #[serde(skip)]
    pub settles: bool,
    /// Whether nothing goes on because whoever has the file does not answer.
    #[serde(skip)]
    pub is_cut_off: bool,
    /// Backends that will not come however long they are waited for.
    #[serde(skip)]
    pub hopeless: BTreeSet<BackendName>,
    /// What is wrong, since something last went well.
    pub troubles: Vec<String>,
}

impl Times for OwnStatus {
    fn each_time(&mut self, with: &mut dyn FnMut(&mut Timestamp)) {
        self.due.iter_mut().for_each(with);
    }
}

/// What would be done to a HAProxy that Roster owns, besides its servers.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    /// Why it would be started or reloaded.
    pub reloads: Vec<String>,
    /// Backends that it would be given while it runs.
    pub added: Vec<BackendName>,
    /// What is wanted and will not come as things are, and why.
    pub left_out: Vec<String>,
    /// How the spare servers of a backend would go if an operator asked for it, or why they could not.
    pub sheds: BTreeMap<BackendName, Result<How, String>>,
}

impl Own {
    /// Why HAProxy would have to reload, as things are.
    pub(crate) fn reasons(&self, agenda: &Agenda, now: Timestamp) -> Vec<ReloadReason> {
        self.unheard(agenda, now).map(|rendered| self.reasons_for(&rendered)).unwrap_or_default()
    }

    /// The files as they would be, without a word of what is wrong with them.
    pub(super) fn unheard(&self, agenda: &Agenda, now: Timestamp) -> Option<Rendered> {
        render(&self.document(agenda, now)?, self.version).ok()
    }

    /// Why HAProxy would have to reload to take these in.
    pub(super) fn reasons_for(&self, rendered: &Rendered) -> Vec<ReloadReason> {
        let Some(runs) = &self.book.structure else { return vec![ReloadReason::Unknown] };
        let mut reasons = runs.reload_reasons(&rendered.structure);
        reasons.extend(self.left_to_reload.iter().map(|left| ReloadReason::NotLive(left.clone())));
        if reasons.iter().all(ReloadReason::can_wait) {
            reasons.clear();
        }
        reasons
    }

    /// The same in words, with what a reload would lose.
    pub(crate) fn reload_words(&self, agenda: &Agenda, now: Timestamp) -> Vec<String> {
        let mut words: Vec<String> = self.reasons(agenda, now).iter().map(ToString::to_string).collect();
        let lost =
            self.document(agenda, now).filter(|_| !words.is_empty()).map(|document| document.tables_lost());
        words.extend(lost.into_iter().flatten().map(|section| {
            format!("the stick-table of {section} starts empty; a `peers` section with a local peer keeps it")
        }));
        words
    }

    /// What a pass would do besides: why HAProxy would be started or reloaded. What a reload brings is not missing.
    pub(crate) fn preview(mut self, agenda: &Agenda, passed: &mut Passed, is_up: bool) -> Preview {
        let now = clock::now();
        self.ran(std::mem::take(&mut passed.lines), now);
        self.hear(agenda, agenda, true, now);
        passed.missing.clear();
        if !is_up {
            return Preview { reloads: vec!["HAProxy does not run".to_owned()], ..Preview::default() };
        }
        let sheds = self.sheds(agenda, &passed.spare, now).into_iter();
        let sheds = sheds.map(|(backend, how)| (backend, Ok(how))).collect();
        Preview { sheds, ..self.planned(agenda, now) }
    }

    /// What would be done to a HAProxy that runs.
    pub(crate) fn planned(&self, agenda: &Agenda, now: Timestamp) -> Preview {
        let added = self.addable(agenda, now);
        let reloads = if added.is_empty() { self.reload_words(agenda, now) } else { Vec::new() };
        let rendered = self.unheard(agenda, now);
        let left_out = rendered.map(|rendered| self.left_out(agenda, &rendered)).unwrap_or_default();
        Preview { reloads, added, left_out, ..Preview::default() }
    }

    /// How many workers finish what they have, as last counted.
    pub(crate) fn old_workers(&self) -> Option<usize> {
        self.steward.running().old_workers
    }

    /// Has those workers counted while there are any, and lets go of what only they had once there are none.
    pub(crate) async fn see_to_old_workers(&mut self) {
        let running = self.steward.running();
        match running.old_workers {
            Some(0) => self.release().await,
            _ if running.master.is_some() => self.steward.count_old_ones(),
            _ => {}
        }
    }

    /// How it is doing.
    pub(crate) fn status(&self, agenda: &Agenda, now: Timestamp) -> OwnStatus {
        let waiting = if self.due.is_some() || self.check.is_running() {
            self.reload_words(agenda, now)
        } else {
            Vec::new()
        };
        let running = self.steward.running();
        OwnStatus {
            is_cut_off: false,
            hopeless: BTreeSet::new(),
            master: running.master.map(|master| master.pid),
            api: None,
            old_workers: running.old_workers,
            waiting,
            due: self.due.map(|due| due.at),
            left_out: self.told_left_out.clone(),
            settles: false,
            troubles: self
                .retry
                .told()
                .into_iter()
                .filter(|told| !self.told_left_out.contains(told))
                .collect(),
        }
    }
}
