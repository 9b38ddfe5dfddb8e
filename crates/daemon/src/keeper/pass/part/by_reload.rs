//! What only a reload of HAProxy can bring, where its file is Roster's to write.

use std::collections::BTreeMap;

use jiff::Timestamp;
use roster_core::agenda::Item;
use roster_core::layout::{self, Lines};
use roster_core::plan::{BackendPlan, Note, Status};
use roster_core::slots::{NoSlot, Unplaced};
use roster_haproxy::name::BackendName;
use roster_targets::{Reading, Target};

use super::Part;
use crate::keeper::lines::OwnLines;
use crate::keeper::pass::Weights;
use crate::keeper::takeover::Takeover;

impl<T: Target> Part<'_, T>
where
    T::Error: Takeover,
{
    /// The servers of backends that came to rest, with those that only a reload can give them; and these alone.
    pub(super) fn lines(
        &self,
        reading: &Reading,
        plans: &BTreeMap<BackendName, BackendPlan>,
        now: Timestamp,
    ) -> (Lines, Lines) {
        let (mut all, mut lacking) = (Lines::new(), Lines::new());
        for (backend, plan) in plans.iter().filter(|(_, plan)| plan.operations.is_empty()) {
            let (item, seen) = (self.scene.agenda.items.get(backend), reading.observed.backends.get(backend));
            let (Some(item), Some(seen)) = (item, seen) else { continue };
            let mut lines = layout::lines(&item.exposure, seen, Some(&plan.applied));
            if !seen.limits.grows && is_short(item, plan) {
                let missing = layout::missing(item, reading.version, Some(seen), now);
                lines.extend(missing.iter().cloned());
                lacking.insert(backend.clone(), missing);
            }
            all.insert(backend.clone(), lines);
        }
        (all, lacking)
    }

    /// Takes out of the notes what comes by a reload. Answers the weights among it.
    pub(super) fn by_reload(
        &self,
        plans: &mut BTreeMap<BackendName, BackendPlan>,
        lacking: &Lines,
    ) -> Weights {
        let by_api = matches!(self.scene.own_lines, OwnLines::Of(_));
        let mut weights = Weights::new();
        for (backend, plan) in plans {
            let grows = lacking.get(backend).is_some_and(|lines| !lines.is_empty());
            plan.notes.retain(|note| match note {
                Note::Unplaced(Unplaced { why: NoSlot::Full { .. }, .. }) | Note::NoSlots { .. } => !grows,
                Note::Static { .. } => !by_api,
                Note::WeightRefused { server, wanted, .. } if by_api => {
                    weights.entry(backend.clone()).or_default().insert(server.clone(), *wanted);
                    false
                }
                _ => true,
            });
        }
        weights
    }
}

/// Whether a backend may have fewer slots than are wanted.
fn is_short(item: &Item, plan: &BackendPlan) -> bool {
    let scheme = &item.exposure.slots;
    let slots = plan.standings.values().filter(|standing| standing.status != Status::Foreign).count();
    let instances = u32::try_from(item.instances().count()).unwrap_or(u32::MAX);
    let wanted = usize::try_from(scheme.growth.size(scheme.base, instances)).unwrap_or(usize::MAX);
    item.is_wanted() && (slots < wanted || plan.notes.iter().any(|note| matches!(note, Note::Unplaced(_))))
}
