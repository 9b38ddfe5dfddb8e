//! Weights: the wanted one, the slow start's part of it, and what a backend's algorithm allows.

use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::change::Change;
use roster_haproxy::observed::ObservedServer;
use roster_haproxy::weight::Weight;

use super::{Scene, Steps};
use crate::applied::AppliedServer;
use crate::later::later;
use crate::operation::Reason;
use crate::plan::backend::Inputs;

pub(super) fn weight_reason(
    scene: &Scene<'_>,
    weight: Option<Weight>,
    seen: &ObservedServer,
    serving: Option<&AppliedServer>,
) -> Reason {
    let from = seen.weight;
    match serving {
        Some(_) if scene.policy.slow_start.is_some() => Reason::SlowStart { from },
        Some(r) if r.weight == weight && !scene.same_process => Reason::Restarted,
        _ => Reason::WeightWanted { from },
    }
}

/// What the record is to keep of the weight that a server's line had before `steps`, or those before them, gave it another
/// one: in a file that says what runs that weight is the line's, and so is that of a server that was added with one.
pub(in crate::plan) fn own_weight(
    inputs: &Inputs<'_>,
    steps: &Steps,
    seen: Option<&ObservedServer>,
    record: Option<&AppliedServer>,
    of_line: Option<Weight>,
) -> Option<Weight> {
    if inputs.seen.limits.line_weight.is_some() {
        return None;
    }
    let given = steps.changes.iter().find_map(|(change, _)| match change {
        Change::Weight(_) => seen.map(|seen| seen.initial_weight),
        Change::Add { keywords, .. } => (keywords.weight != of_line).then(|| of_line.unwrap_or(Weight::ONE)),
        _ => None,
    });
    let known = record.and_then(|record| record.own_weight);
    let is_back = |own: Weight| {
        let has = |seen: &ObservedServer| seen.weight == own && seen.initial_weight == own;
        steps.changes.is_empty() && seen.is_some_and(has)
    };
    known.or(given).filter(|own| !is_back(*own))
}

/// The weight to have now: the wanted one, or that of the server's line, less what the slow start still holds back.
pub(super) fn full_weight(
    scene: &Scene<'_>,
    weight: Option<Weight>,
    seen: &ObservedServer,
    up: Timestamp,
) -> Weight {
    let full = weight.or(scene.own_weight).unwrap_or(seen.initial_weight);
    let Some(ramp) = scene.policy.slow_start else { return full };
    let percent = u32::from(ramp.percent_after(since(scene.now, up)));
    let part = (u32::from(full.get()) * percent).div_ceil(100);
    Weight::new(part).unwrap_or(full)
}

pub(super) fn since(now: Timestamp, then: Timestamp) -> Duration {
    now.duration_since(then).try_into().unwrap_or_default()
}

/// Sets the weight if it is not the one to have; answers what the record should say.
pub(super) fn set_weight(
    scene: &Scene<'_>,
    steps: &mut Steps,
    weight: Option<Weight>,
    seen: Option<&ObservedServer>,
    up: Timestamp,
    why: &Reason,
) -> Option<Weight> {
    // A server that is being added has its weight on its line already.
    let Some(seen) = seen else { return weight };
    let wanted = full_weight(scene, weight, seen, up);
    if wanted == seen.weight {
        return (wanted != seen.initial_weight).then_some(wanted);
    }
    if !scene.limits.dynamic && wanted != Weight::ZERO && wanted != seen.initial_weight {
        steps.weight_refused = Some(wanted);
        return (seen.weight != seen.initial_weight).then_some(seen.weight);
    }
    let change = if wanted == seen.initial_weight { Change::InitialWeight } else { Change::Weight(wanted) };
    steps.push(change, why.clone());
    (wanted != seen.initial_weight).then_some(wanted)
}

pub(super) fn wake_for_ramp(scene: &Scene<'_>, steps: &mut Steps, up: Timestamp) {
    let step = scene.policy.slow_start.and_then(|ramp| ramp.next_step(since(scene.now, up)));
    if let Some(step) = step {
        steps.wake_at(later(up, step));
    }
}
