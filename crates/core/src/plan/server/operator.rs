//! What an operator, and not Roster, has done to a live server.

use jiff::Timestamp;

use super::{Scene, Steps};
use crate::applied::{AppliedServer, OperatorHold, Phase};
use crate::instance::Instance;
use crate::observed::{ObservedServer, State};

/// The state that an operator, and not Roster, has put a live server in.
pub(super) fn operator_state(
    scene: &Scene<'_>,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
) -> Option<OperatorHold> {
    let state = seen.state();
    if state == State::Ready {
        return None;
    }
    let known = record.and_then(|r| r.operator).filter(|hold| hold.state.is_some());
    let new = OperatorHold { state: Some(state), weight: known.and_then(|k| k.weight), since: scene.now };
    let hold = OperatorHold { since: known.map_or(scene.now, |k| k.since), ..new };
    let Some(record) = record else {
        // Without a record, maintenance at a live address can only be somebody's wish.
        return Some(hold);
    };
    if known.is_some() {
        return Some(hold);
    }
    if !record.confirmed || record.phase.state() != State::Ready {
        return None;
    }
    // A process that just started shows what its file says: `disabled` there is no operator's word.
    let from_file = !scene.same_process && seen.admin.is_config_maint() && state == State::Maint;
    (!from_file).then_some(hold)
}

pub(super) fn held_by_operator(
    instance: &Instance,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
    hold: OperatorHold,
    now: Timestamp,
) -> Steps {
    let next = AppliedServer {
        instance: Some(instance.id.clone()),
        endpoint: seen.endpoint(),
        weight: record.and_then(|r| r.weight),
        own_weight: None,
        operator: Some(hold),
        confirmed: true,
        ..AppliedServer::new(Phase::Serving, record.map_or(now, |r| r.since))
    };
    Steps { next: Some(next), ..Steps::default() }
}
