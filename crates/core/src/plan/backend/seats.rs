//! Which instance has which slot.

use std::collections::{BTreeSet, HashSet};

use roster_haproxy::name::InstanceId;

use super::Inputs;
use crate::exposure::Names;
use crate::guard::{GuardRecord, Judged, Wish, judge};
use crate::plan::additions::lacks_tls;
use crate::plan::derive::{Ours, derive, is_comparable, ours, slot_by_name};
use crate::plan::leaving::WithoutServer;
use crate::plan::places::Place;
use crate::select::{panic, wishes};
use crate::slots::{Assignment, Limits, NoSlot, Row, SlotNo, SlotTable, Unplaced, Wanted, assign};

/// What is to be there, and in which slots.
pub(in crate::plan) struct Seating<'a> {
    /// The servers that are ours.
    pub ours: Vec<Ours<'a>>,
    /// What the guards made of the answer.
    pub judged: Judged<'a>,
    /// The slots as they are to be.
    pub assignment: Assignment,
}

/// Gives every instance that is to be there a slot.
pub(in crate::plan) fn seat<'a>(inputs: &Inputs<'a>) -> Seating<'a> {
    let exposure = inputs.exposure;
    let all = wishes(exposure, inputs.instances);
    let ours = ours(inputs);
    let before = derive(inputs, &ours, &all);
    let mut known = inputs.applied.map_or_else(GuardRecord::default, |applied| applied.guard.clone());
    if !is_comparable(inputs) {
        // Entries of another source that could not be read say nothing of those of this one.
        known.unread = 0;
    }
    let mut judged = judge(&before, all, &inputs.evidence, &known, &exposure.policy.guard, inputs.now);
    panic(&mut judged.wishes);
    let wanted = wanted(&judged.wishes, &before);
    let assignment = assign(before, &wanted, &limits(inputs), inputs.now);
    Seating { ours, judged, assignment }
}

/// How many of the instances that are reported have no server, and could have one.
pub(super) fn without_server(
    unplaced: &[Unplaced],
    wishes: &[Wish<'_>],
    places: &[Place<'_>],
) -> WithoutServer {
    let unplaced = unplaced.iter().filter(|one| matches!(one.why, NoSlot::Full { .. })).count();
    let resting = places.iter().filter_map(|place| place.wish).filter(|wish| !wish.well).count();
    let unwell = wishes.iter().filter(|wish| !wish.well).count();
    WithoutServer { unplaced, unwell: unwell.saturating_sub(resting) }
}

/// The instances that are to have a slot. An unwell one keeps the slot it has, but is given none.
fn wanted<'a>(wishes: &'a [Wish<'_>], before: &SlotTable) -> Vec<Wanted<'a>> {
    let all_well = wishes.iter().all(|wish| wish.well);
    let rows = before.rows.values().filter(|_| !all_well);
    let there: HashSet<&InstanceId> = rows.filter_map(Row::instance).collect();
    let wanted =
        wishes.iter().filter(|wish| wish.well || wish.is_kept() || there.contains(&wish.instance.id));
    wanted.map(|wish| Wanted { instance: &wish.instance, shape: wish.shape, kept_in: wish.kept_in }).collect()
}

/// Whether servers can be added that are as safe as the slots.
pub(in crate::plan) fn grows(inputs: &Inputs<'_>) -> bool {
    inputs.seen.limits.grows && !lacks_tls(inputs)
}

pub(in crate::plan) fn limits(inputs: &Inputs<'_>) -> Limits {
    let scheme = &inputs.exposure.slots;
    Limits {
        base: scheme.base,
        growth: scheme.growth,
        by_address: inputs.exposure.names == Names::Address,
        can_grow: grows(inputs),
        rest: inputs.exposure.policy.rest,
        barred: fixed(inputs),
        avoided: avoided(inputs),
    }
}

/// The numbers of the servers that are called as slots are, and are none because their addresses cannot be set.
fn fixed(inputs: &Inputs<'_>) -> BTreeSet<SlotNo> {
    let servers = inputs.seen.servers.iter().filter(|(_, seen)| seen.fixed_address().is_some());
    servers.filter_map(|(name, _)| slot_by_name(inputs, name)).collect()
}

/// The numbers of the servers that HAProxy refused an instance, and that another instance may be refused too.
fn avoided(inputs: &Inputs<'_>) -> BTreeSet<SlotNo> {
    let refused = inputs.refusals.iter().filter(|(_, refused)| refused.bars_the_slot());
    refused.filter_map(|(name, _)| slot_by_name(inputs, name)).collect()
}
