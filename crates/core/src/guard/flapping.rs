//! Damping: an instance that came and went too often is kept out for a while.
//!
//! An instance that has a slot keeps it. Damping keeps out no larger share of a backend, and leaves it no fewer servers,
//! than the guards allow an answer to take out: where more instances flap, it is the source that does.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roster_haproxy::name::InstanceId;

use super::{GuardRecord, Judged};
use crate::exposure::Guards;
use crate::later::later;
use crate::slots::{Row, SlotNo, SlotTable};

/// Leaving counts as flapping when it happens often enough within this time.
pub const FLAP_WINDOW: Duration = Duration::from_mins(10);

/// Remembers which instances leave.
pub(super) fn note(record: &mut GuardRecord, leaving: &[(SlotNo, &Row)], guards: &Guards, now: Timestamp) {
    if guards.flaps == 0 {
        return;
    }
    for id in leaving.iter().filter_map(|(_, row)| row.instance()) {
        record.left.entry(id.clone()).or_default().push(now);
    }
    let window = SignedDuration::try_from(FLAP_WINDOW).unwrap_or_default();
    let most = number(guards.flaps);
    for times in record.left.values_mut() {
        times.retain(|at| now.duration_since(*at) < window);
        let extra = times.len().saturating_sub(most);
        times.drain(..extra);
    }
    record.left.retain(|_, times| !times.is_empty());
}

/// Keeps out what came and went too often, as far as the guards allow.
pub(super) fn keep_out(judged: &mut Judged<'_>, table: &SlotTable, guards: &Guards, now: Timestamp) {
    judged.record.flapping.clear();
    if guards.flaps == 0 || judged.record.left.is_empty() {
        return;
    }
    let (record, wishes) = (&judged.record, &judged.wishes);
    let most = number(guards.flaps);
    let calm_at = |id: &InstanceId| {
        let times = record.left.get(id).filter(|times| times.len() >= most)?;
        times.first().map(|first| later(*first, FLAP_WINDOW)).filter(|at| *at > now)
    };
    let held = table.rows.values().filter(|row| matches!(row, Row::Held { .. }));
    let seated: HashSet<&InstanceId> = held.filter_map(Row::instance).collect();
    let newcomers = wishes.iter().filter(|wish| !wish.is_kept() && !seated.contains(&wish.instance.id));
    let mut out: Vec<(Timestamp, InstanceId)> =
        newcomers.filter_map(|wish| Some((calm_at(&wish.instance.id)?, wish.instance.id.clone()))).collect();
    // Those that are calm first may come in first.
    out.sort_unstable_by(|one, other| other.cmp(one));
    out.truncate(allowed(wishes.len(), guards));
    let ids: HashSet<&InstanceId> = out.iter().map(|(_, id)| id).collect();
    judged.wishes.retain(|wish| !ids.contains(&wish.instance.id));
    judged.wake = out.iter().map(|(at, _)| *at).chain(judged.wake).min();
    judged.record.flapping = out.into_iter().map(|(_, id)| id).collect();
    judged.record.flapping.sort_unstable();
}

/// How many of so many instances may be kept out.
fn allowed(instances: usize, guards: &Guards) -> usize {
    let share = instances * usize::from(guards.max_removal_percent) / 100;
    share.min(instances.saturating_sub(number(guards.min_servers).max(1)))
}

fn number(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
