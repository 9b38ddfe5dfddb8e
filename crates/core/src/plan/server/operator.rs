//! What an operator, and not Roster, has done to a live server.

use jiff::Timestamp;
use roster_haproxy::observed::{ObservedServer, State};

use super::{Scene, Steps};
use crate::applied::{AppliedServer, OperatorHold, Phase};
use crate::instance::Instance;

/// Who has put a live server into a state that Roster did not give it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Author {
    /// An operator.
    Operator(OperatorHold),
    /// The server's agent, as far as can be told: HAProxy shows the same where an operator did it.
    Agent,
}

/// Who, and not Roster, has put a live server into the state that it is in. What it inherits from a server that it tracks is
/// nobody's order.
pub(super) fn author(
    scene: &Scene<'_>,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
) -> Option<Author> {
    let state = seen.told();
    if state == State::Ready {
        return None;
    }
    let has_agent = seen.has_agent;
    let known = record.and_then(|r| r.operator).filter(|hold| hold.state.is_some() && !has_agent);
    let new = OperatorHold { state: Some(state), weight: known.and_then(|k| k.weight), since: scene.now };
    let hold = OperatorHold { since: known.map_or(scene.now, |k| k.since), ..new };
    let Some(record) = record else {
        // Without a record, maintenance at a live address can only be somebody's wish.
        return Some(Author::Operator(hold));
    };
    if known.is_some() {
        return Some(Author::Operator(hold));
    }
    if !record.confirmed || record.phase.state() != State::Ready {
        return None;
    }
    // A process that just started shows what its file says: `disabled` there is no operator's word.
    let from_file = !scene.same_process && seen.admin.is_config_maint() && state == State::Maint;
    let author = if has_agent { Author::Agent } else { Author::Operator(hold) };
    (!from_file).then_some(author)
}

/// A server that its agent keeps out: it is the agent's to say when that is over.
pub(super) fn left_to_agent(seen: &ObservedServer, record: Option<&AppliedServer>) -> Steps {
    let next = record.map(|record| AppliedServer {
        endpoint: seen.endpoint(),
        operator: None,
        confirmed: true,
        ..record.clone()
    });
    Steps { next, ..Steps::default() }
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
