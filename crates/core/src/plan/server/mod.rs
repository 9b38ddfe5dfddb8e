//! One server's next steps.
//!
//! Each step moves a server towards its goal from wherever HAProxy shows it, and leaves a record of what was
//! begun. Invariants: an address is changed only in maintenance; a server that has not earned it is never made
//! ready; what an operator did to a live server stays.

mod leave;
mod operator;
mod weight;

use jiff::Timestamp;
use leave::{leave, park};
use operator::{Author, author, held_by_operator, left_to_agent};
use roster_haproxy::address::Endpoint;
use roster_haproxy::change::Change;
use roster_haproxy::name::InstanceId;
use roster_haproxy::observed::{BackendLimits, ObservedServer, State};
use roster_haproxy::weight::Weight;
pub(super) use weight::own_weight;
use weight::{full_weight, set_weight, wake_for_ramp, weight_reason};

use super::types::{CHECK_POLL, DRAIN_POLL};
use crate::applied::{AppliedServer, OperatorHold, Phase};
use crate::departure::Departure;
use crate::exposure::{BringUp, Policy};
use crate::instance::Instance;
use crate::later::later;
use crate::operation::Reason;

/// What a server should come to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal<'a> {
    /// Its instance should take traffic.
    Serve {
        instance: &'a Instance,
        weight: Option<Weight>,
        /// The instance that was at its address before.
        replaces: Option<&'a InstanceId>,
    },
    /// Its instance is unwell: no traffic, but the slot stays its own.
    Rest { instance: &'a Instance },
    /// No instance is to be there.
    Park {
        /// Why the one that was there is not.
        why: &'a Departure,
    },
}

/// What one server's planning may look at.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Scene<'a> {
    pub policy: &'a Policy,
    pub parking: Endpoint,
    /// Whether the server is called after its address, so that it is deleted rather than parked.
    pub by_address: bool,
    /// Whether the server is added with a check.
    pub adds_checked: bool,
    pub limits: &'a BackendLimits,
    /// The weight of its line before Roster gave it another one, if that is not the one it starts with.
    pub own_weight: Option<Weight>,
    pub bring_up: BringUp,
    /// Whether the record was written for the process that was observed.
    pub same_process: bool,
    /// Whether another server of the backend takes traffic.
    pub others_serve: bool,
    /// Whether the server may be taken out of traffic until its instance, another one than before, was found well.
    pub may_prove: bool,
    /// Whether Roster has reached the server at the address it should have.
    pub reached: Option<Endpoint>,
    pub now: Timestamp,
}

/// What to do to one server.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub changes: Vec<(Change, Reason)>,
    pub next: Option<AppliedServer>,
    pub wake: Option<Timestamp>,
    pub probe: Option<Endpoint>,
    pub weight_refused: Option<Weight>,
}

impl Steps {
    fn push(&mut self, change: Change, why: Reason) {
        self.changes.push((change, why));
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// The steps of a server that is there.
pub(super) fn steps(
    scene: &Scene<'_>,
    goal: Goal<'_>,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
) -> Steps {
    match goal {
        Goal::Serve { instance, weight, replaces } => serve(scene, instance, weight, replaces, seen, record),
        Goal::Rest { instance } => {
            let mut steps = leave(scene, seen, record, Reason::Unhealthy(instance.id.clone()), false);
            if let Some(next) = &mut steps.next {
                next.instance = Some(instance.id.clone());
                next.endpoint = seen.endpoint();
            }
            steps
        }
        Goal::Park { why } => park(scene, why, seen, record),
    }
}

fn serve(
    scene: &Scene<'_>,
    instance: &Instance,
    weight: Option<Weight>,
    replaces: Option<&InstanceId>,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
) -> Steps {
    let same_instance = record.is_some_and(|r| r.instance.as_ref() == Some(&instance.id));
    let author = author(scene, seen, record);
    if seen.endpoint() != Some(instance.endpoint) {
        let hold = match author {
            Some(Author::Operator(hold)) if same_instance => Some(hold),
            _ => None,
        };
        return point(scene, instance, weight, seen, record, hold);
    }
    match author {
        Some(Author::Operator(hold)) => return held_by_operator(instance, seen, record, hold, scene.now),
        Some(Author::Agent) => return left_to_agent(seen, record),
        None => {}
    }
    if let (Some(before), Some(record)) = (replaces, record) {
        return replace(scene, instance, weight, before, seen, record);
    }
    match (record.map(|r| r.phase), seen.told()) {
        (Some(Phase::Rising(how)), state) if state != State::Ready => {
            rising(scene, how, instance, weight, seen, record)
        }
        // It still has its connections and its fresh checks: taking it back at once is safe.
        (Some(Phase::Draining), State::Drain) => {
            let mut steps = Steps::default();
            steps.push(Change::State(State::Ready), Reason::Returned(instance.id.clone()));
            settle(scene, steps, instance, weight, seen, record)
        }
        (_, State::Ready) => settle(scene, Steps::default(), instance, weight, seen, record),
        (Some(Phase::Resting | Phase::Parked), _) => {
            let why = Reason::Returned(instance.id.clone());
            rise(scene, Steps::default(), instance, weight, Some(seen), &why)
        }
        (_, _) => {
            let why = if scene.same_process { Reason::Unfinished } else { Reason::Restarted };
            rise(scene, Steps::default(), instance, weight, Some(seen), &why)
        }
    }
}

/// Another instance is at the address of the one that had the server. It is brought in like any newcomer: where its source's
/// word is not enough, it takes no new traffic until it was found well. Connections are left to end: they may be its own,
/// where a registry has given it another id.
fn replace(
    scene: &Scene<'_>,
    instance: &Instance,
    weight: Option<Weight>,
    before: &InstanceId,
    seen: &ObservedServer,
    record: &AppliedServer,
) -> Steps {
    let why = Reason::Replaced { instance: instance.id.clone(), before: before.clone() };
    let is_trusted = scene.bring_up == BringUp::Registry || !scene.others_serve;
    if seen.state() == State::Ready && is_trusted {
        // Its slow start begins anew.
        let newcomer = AppliedServer { phase: Phase::Rising(BringUp::Registry), ..record.clone() };
        return settle(scene, Steps::default(), instance, weight, seen, Some(&newcomer));
    }
    if seen.state() == State::Ready && !scene.may_prove {
        // Too many at once: until the others are back it goes on as it is.
        let mut steps = Steps { next: Some(record.clone()), ..Steps::default() };
        steps.wake_at(later(scene.now, DRAIN_POLL));
        return steps;
    }
    let mut steps = Steps::default();
    if seen.state() == State::Ready {
        steps.push(Change::State(State::Drain), why.clone());
    }
    rise(scene, steps, instance, weight, Some(seen), &why)
}

/// Points a server at its instance: into maintenance first, for HAProxy would keep a server UP on a new, dead
/// address until its checks have failed.
fn point(
    scene: &Scene<'_>,
    instance: &Instance,
    weight: Option<Weight>,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
    operator: Option<OperatorHold>,
) -> Steps {
    let why = match record {
        Some(r) if r.endpoint == Some(instance.endpoint) && !scene.same_process => Reason::Restarted,
        Some(r) if r.endpoint == Some(instance.endpoint) && r.confirmed => Reason::Drifted,
        Some(r) if r.endpoint == Some(instance.endpoint) => Reason::Unfinished,
        Some(AppliedServer { endpoint: Some(from), instance: Some(id), .. }) if *id == instance.id => {
            Reason::Moved { instance: id.clone(), from: *from }
        }
        _ => Reason::Appeared(instance.id.clone()),
    };
    let mut steps = Steps::default();
    if seen.told() != State::Maint {
        steps.push(Change::State(State::Maint), why.clone());
    }
    steps.push(Change::Address(instance.endpoint), why.clone());
    let Some(hold) = operator else { return rise(scene, steps, instance, weight, Some(seen), &why) };
    if hold.state == Some(State::Drain) {
        steps.push(Change::State(State::Drain), why);
    }
    let kept = held_by_operator(instance, seen, record, hold, scene.now);
    steps.next = kept.next.map(|next| AppliedServer { endpoint: Some(instance.endpoint), ..next });
    steps
}

/// Begins to bring a server up that points at its instance and is in maintenance.
pub(super) fn rise(
    scene: &Scene<'_>,
    mut steps: Steps,
    instance: &Instance,
    weight: Option<Weight>,
    seen: Option<&ObservedServer>,
    why: &Reason,
) -> Steps {
    let checked = seen.map_or(scene.adds_checked, |seen| seen.check.configured);
    let how = match scene.bring_up {
        _ if !scene.others_serve => BringUp::Registry,
        BringUp::Check if !checked => BringUp::Probe,
        how => how,
    };
    if checked && seen.is_none_or(|seen| !seen.check.enabled) {
        steps.push(Change::EnableCheck, why.clone());
    }
    let set = set_weight(scene, &mut steps, weight, seen, scene.now, why);
    let phase = match how {
        BringUp::Registry => {
            steps.push(Change::State(State::Ready), why.clone());
            Phase::Serving
        }
        BringUp::Probe => {
            steps.probe = Some(instance.endpoint);
            Phase::Rising(how)
        }
        BringUp::Check => {
            if !steps.changes.iter().any(|(change, _)| *change == Change::State(State::Drain)) {
                steps.push(Change::State(State::Drain), why.clone());
            }
            steps.push(Change::HealthDown, why.clone());
            steps.wake_at(later(scene.now, CHECK_POLL));
            Phase::Rising(how)
        }
    };
    wake_for_ramp(scene, &mut steps, scene.now);
    steps.next = Some(record_of(scene, phase, instance, set));
    steps
}

fn record_of(scene: &Scene<'_>, phase: Phase, instance: &Instance, weight: Option<Weight>) -> AppliedServer {
    AppliedServer {
        instance: Some(instance.id.clone()),
        endpoint: Some(instance.endpoint),
        weight,
        ..AppliedServer::new(phase, scene.now)
    }
}

/// A server that is being brought up: ready as soon as it has earned it.
fn rising(
    scene: &Scene<'_>,
    how: BringUp,
    instance: &Instance,
    weight: Option<Weight>,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
) -> Steps {
    let mut steps = Steps::default();
    let by_check = how == BringUp::Check && seen.check.configured;
    let passed = if by_check {
        (seen.told() == State::Drain && seen.check.health >= 1).then_some(Reason::CheckPassed)
    } else {
        (scene.reached == Some(instance.endpoint)).then_some(Reason::ProbePassed)
    };
    let passed = passed.or_else(|| (!scene.others_serve).then_some(Reason::FirstServer));
    if let Some(why) = passed {
        if by_check {
            steps.push(Change::HealthUp, why.clone());
        }
        steps.push(Change::State(State::Ready), why);
        return settle(scene, steps, instance, weight, seen, None);
    }
    if by_check && seen.told() == State::Maint {
        let why = Reason::Unfinished;
        return rise(scene, steps, instance, weight, Some(seen), &why);
    }
    if by_check {
        steps.wake_at(later(scene.now, CHECK_POLL));
    } else {
        steps.probe = Some(instance.endpoint);
    }
    steps.next =
        record.map(|r| AppliedServer { instance: Some(instance.id.clone()), confirmed: true, ..r.clone() });
    steps
}

/// A server that is ready at its instance's address: only its weight may still have to change.
fn settle(
    scene: &Scene<'_>,
    mut steps: Steps,
    instance: &Instance,
    weight: Option<Weight>,
    seen: &ObservedServer,
    record: Option<&AppliedServer>,
) -> Steps {
    let serving = record.filter(|r| r.phase == Phase::Serving);
    let since = serving.map_or(scene.now, |r| r.since);
    // Without a record it may have served for long: no slow start for what already carries its load.
    let risen = if record.is_none() && steps.changes.is_empty() { Timestamp::MIN } else { since };
    let shown = serving.map(|r| r.weight.unwrap_or(seen.initial_weight));
    let known = serving.and_then(|r| r.operator).filter(|hold| hold.weight.is_some());
    // HAProxy itself hands a weight to the process that takes over.
    let went_over = known.is_some_and(|hold| hold.weight == Some(seen.weight));
    // An agent may set the weight too, and again and again.
    let by_others = serving
        .filter(|r| r.confirmed && (went_over || (scene.same_process && shown != Some(seen.weight))))
        .filter(|_| full_weight(scene, weight, seen, risen) != seen.weight);
    let operator = by_others.filter(|_| !seen.has_agent).map(|_| OperatorHold {
        state: None,
        weight: Some(seen.weight),
        since: known.map_or(scene.now, |hold| hold.since),
    });
    let set = if let Some(record) = by_others {
        record.weight
    } else {
        let why = weight_reason(scene, weight, seen, serving);
        let set = set_weight(scene, &mut steps, weight, Some(seen), risen, &why);
        wake_for_ramp(scene, &mut steps, risen);
        set
    };
    let confirmed = steps.changes.is_empty();
    let next =
        AppliedServer { since, operator, confirmed, ..record_of(scene, Phase::Serving, instance, set) };
    steps.next = Some(next);
    steps
}
