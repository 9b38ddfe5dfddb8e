//! The plan for one backend.

mod others;
mod seats;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use roster_haproxy::address::Endpoint;
use roster_haproxy::change::Change;
use roster_haproxy::keywords::{InitState, ServerKeywords};
use roster_haproxy::name::{CookieValue, InstanceId, ServerName};
use roster_haproxy::observed::{ObservedBackend, ObservedServer, State};
use roster_haproxy::version::Version;
use roster_haproxy::weight::Weight;

use self::seats::without_server;
pub(super) use self::seats::{Seating, grows, limits, seat};
use super::additions::{has_cookie, line};
use super::departed::Departed;
use super::derive::is_comparable;
use super::leaving::Waiting;
use super::note::Note;
use super::numbers::Numbers;
use super::places::{Place, Serving, places};
use super::server::{Goal, Scene, Steps, own_weight, rise, steps};
use super::standing::standing;
use super::types::{ProbeOrder, ProbeResults, Replacement, Standing, Status};
use crate::applied::{AppliedBackend, AppliedServer, Phase};
use crate::departure::Departure;
use crate::exposure::{BringUp, Exposure, Names};
use crate::guard::{Evidence, Judged, Wish};
use crate::instance::{Health, HealthAuthority, Instance};
use crate::operation::{Operation, Reason};
use crate::refusals::{Refusals, Refused};
use crate::slots::{Assignment, Row};

/// Everything that the plan for one backend depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What is exposed there, and how.
    pub exposure: &'a Arc<Exposure>,
    /// The instances that the source reports for the service.
    pub instances: &'a [&'a Instance],
    /// When it did, and what may take servers out.
    pub evidence: Evidence<'a>,
    /// What HAProxy shows.
    pub seen: &'a ObservedBackend,
    /// What was last written there.
    pub applied: Option<&'a AppliedBackend>,
    /// Whether that was written to the process that was observed.
    pub same_process: bool,
    /// Which servers Roster has reached.
    pub probes: &'a ProbeResults,
    /// What HAProxy refused lately.
    pub refusals: &'a Refusals,
    /// The time.
    pub now: Timestamp,
}

/// What to do to one backend, and what it comes to.
#[derive(Clone, Debug)]
pub struct BackendPlan {
    /// What to do, in order.
    pub operations: Vec<Operation>,
    /// The record to keep from before the operations on.
    pub applied: AppliedBackend,
    /// When to plan again though nothing changed.
    pub wake: Option<Timestamp>,
    /// Whom to reach meanwhile.
    pub probes: Vec<ProbeOrder>,
    /// Changes that HAProxy refused, and that wait for their next try.
    pub refused: BTreeMap<ServerName, Refused>,
    /// What an operator should know.
    pub notes: Vec<Note>,
    /// Instances that took the place of others and need no operation for it.
    pub replaced: Vec<Replacement>,
    /// Where each server stands.
    pub standings: BTreeMap<ServerName, Standing>,
}

/// The first version that takes `cookie` on `add server` (measured).
const COOKIE_LIVE: Version = Version::new(2, 8, 0);
/// The first version that knows `init-state` (configuration manual 5.2).
const INIT_STATE: Version = Version::new(3, 1, 0);

struct Desk<'a> {
    inputs: &'a Inputs<'a>,
    departed: Departed<'a>,
    /// The servers that take traffic and are to go on doing so.
    staying: Serving,
    /// Those among them that leave once their replacements serve.
    waiting: Waiting,
    /// How many more servers may be taken out of traffic because another instance is there.
    provable: usize,
    /// What the line of a server that is added says, once one is.
    line: OnceCell<ServerKeywords>,
    /// The numbers that are left, once one is needed.
    numbers: Option<Numbers>,
    /// What becomes of the plan's two maps: a list is sorted once, a map with every server.
    records: Vec<(ServerName, AppliedServer)>,
    standings: Vec<(ServerName, Standing)>,
    plan: BackendPlan,
}

/// Plans one backend.
pub fn plan_backend(inputs: &Inputs<'_>) -> BackendPlan {
    let exposure = inputs.exposure;
    let Seating { ours, judged, assignment } = seat(inputs);
    let Judged { wishes, record: mut guard, wake } = judged;
    let Assignment { table, unplaced, .. } = assignment;
    let (places, nameless) = places(inputs, &table, &ours, &wishes);
    let flapping = (!guard.flapping.is_empty()).then(|| Note::Flapping { instances: guard.flapping.clone() });
    let departed = Departed::new(inputs, guard.released);
    let without = without_server(&unplaced, &wishes, &places);
    let since = guard.waiting;
    let waiting = if guard.released {
        Waiting::default()
    } else {
        Waiting::of(inputs, &places, &departed, without, since)
    };
    guard.waiting = waiting.since;
    let mut desk = Desk {
        inputs,
        departed,
        staying: Serving::on(inputs, &places, &waiting.servers),
        waiting,
        provable: provable(inputs, &places),
        line: OnceCell::new(),
        numbers: None,
        records: Vec::with_capacity(places.len()),
        standings: Vec::with_capacity(places.len()),
        plan: BackendPlan {
            operations: Vec::new(),
            applied: AppliedBackend { guard, ..AppliedBackend::new(exposure.clone()) },
            wake,
            probes: Vec::new(),
            notes: unplaced.into_iter().map(Note::Unplaced).chain(nameless).chain(flapping).collect(),
            refused: BTreeMap::new(),
            replaced: Vec::new(),
            standings: BTreeMap::new(),
        },
    };
    for place in &places {
        desk.plan_place(place);
    }
    desk.see_to_the_others(&table);
    desk.plan.applied.servers = std::mem::take(&mut desk.records).into_iter().collect();
    // Who comes comes first: at no moment may a backend be without a server because its last ones are leaving.
    desk.plan.operations.sort_by_key(Operation::is_going);
    desk.tell_what_cannot_be(&table);
    desk.plan
}

/// How an instance is brought up: as the rule says, else by the source's word where the source is the one to ask.
pub(super) fn bring_up(inputs: &Inputs<'_>, instance: &Instance) -> BringUp {
    let is_vouched_for =
        instance.health_authority == HealthAuthority::Source && instance.health == Health::Passing;
    let by_source = if is_vouched_for { BringUp::Registry } else { BringUp::Probe };
    inputs.exposure.policy.bring_up.unwrap_or(by_source)
}

/// The instance that was at a place's address before, if another one is there now. An id that is an address says nothing of
/// which instance it is, and neither does that of another source.
pub(super) fn replaces<'a>(inputs: &Inputs<'_>, place: &Place<'a>) -> Option<&'a InstanceId> {
    let (record, wish) = (place.record?, place.wish?);
    let (before, Instance { id, endpoint, .. }) = (record.instance.as_ref()?, &*wish.instance);
    let is_address = |id: &InstanceId| *id == InstanceId::from_address(*endpoint);
    let is_there = record.endpoint == Some(*endpoint);
    let differs = before != id && !is_address(before) && !is_address(id);
    (is_there && differs && is_comparable(inputs)).then_some(before)
}

/// How many servers may be taken out of traffic at once because another instance is at their address: no more than the guards
/// let an answer take out, those that are out already among them.
fn provable(inputs: &Inputs<'_>, places: &[Place<'_>]) -> usize {
    let wanted = places.iter().filter(|place| place.wish.is_some_and(|wish| wish.well));
    let (mut all, mut out) = (0_usize, 0_usize);
    for place in wanted {
        all += 1;
        out += usize::from(place.record.is_some_and(|record| matches!(record.phase, Phase::Rising(_))));
    }
    let share = all * usize::from(inputs.exposure.policy.guard.max_removal_percent) / 100;
    share.max(1).saturating_sub(out)
}

impl Desk<'_> {
    fn plan_place(&mut self, place: &Place<'_>) {
        let Place { ref name, seen, record, wish, .. } = *place;
        let departure = self.departed.why(place, wish.is_none());
        if let (Some(seen), true) = (seen, self.waiting.servers.contains(name)) {
            self.stay(place, seen, departure);
            return;
        }
        let goal = match wish {
            Some(wish) if wish.well => Goal::Serve {
                instance: &wish.instance,
                weight: self.weight(wish, record),
                replaces: replaces(self.inputs, place),
            },
            Some(wish) => Goal::Rest { instance: &wish.instance },
            None => Goal::Park { why: &departure },
        };
        let instance = wish.map(|wish| &*wish.instance);
        let mut steps = match (seen, goal) {
            (Some(seen), goal) => steps(&self.scene(name, record, instance), goal, seen, record),
            (None, Goal::Serve { instance, weight, .. }) => self.add(place, instance, weight),
            (None, Goal::Park { .. }) if matches!(place.row, Row::Free { .. }) => self.add_spare(place),
            (None, _) => Steps::default(),
        };
        if let Some(refused) = self.paused(name, &steps) {
            steps = Steps { next: record.cloned(), wake: Some(refused.again), ..Steps::default() };
            self.plan.refused.insert(name.clone(), refused.clone());
        }
        self.note_replacement(place, &steps);
        if let Some(next) = &mut steps.next {
            place.remember(next, &departure, &self.inputs.exposure.policy);
        }
        let cap = self.inputs.exposure.policy.drain.cap;
        self.standings.push((name.clone(), standing(&steps, seen, wish, record, cap)));
        self.take(name, steps, seen, record);
    }

    /// A server that leaves once its replacement serves: nothing is done to it.
    fn stay(&mut self, place: &Place<'_>, seen: &ObservedServer, departure: Departure) {
        let mut record = place.record.cloned().unwrap_or_else(|| AppliedServer {
            endpoint: seen.endpoint(),
            confirmed: true,
            ..AppliedServer::new(Phase::Serving, self.inputs.now)
        });
        let standing = Standing {
            status: Status::Leaving,
            instance: record.instance.clone(),
            endpoint: seen.endpoint(),
            since: Some(record.since),
            left: Some(departure.clone()),
        };
        // It was let go: the guards do not judge that again.
        record.left = Some(departure);
        self.standings.push((place.name.clone(), standing));
        self.records.push((place.name.clone(), record));
    }

    /// The refusal for which a server's changes wait.
    fn paused(&self, name: &ServerName, steps: &Steps) -> Option<&Refused> {
        let refused = self.inputs.refusals.of(name).filter(|refused| refused.is_paused(self.inputs.now))?;
        steps.changes.iter().any(|(change, _)| change.word() == refused.op).then_some(refused)
    }

    /// The weight that an instance should have; what a guard keeps has the one it had.
    fn weight(&self, wish: &Wish<'_>, record: Option<&AppliedServer>) -> Option<Weight> {
        if wish.is_kept() {
            return record.and_then(|record| record.full_weight);
        }
        crate::select::weight(&self.inputs.exposure.policy, &wish.instance)
    }

    /// Tells of an instance that took the place of another one, and counts it.
    fn note_replacement(&mut self, place: &Place<'_>, steps: &Steps) {
        let (Some(before), Some(wish)) = (replaces(self.inputs, place), place.wish) else { return };
        let Instance { id, endpoint, .. } = &*wish.instance;
        if steps.changes.iter().any(|(change, _)| *change == Change::State(State::Drain)) {
            self.provable = self.provable.saturating_sub(1);
        } else if steps.next.as_ref().is_some_and(|next| next.instance.as_ref() == Some(id)) {
            let (server, instance, before) = (place.name.clone(), id.clone(), before.clone());
            self.plan.replaced.push(Replacement { server, endpoint: *endpoint, instance, before });
            if place.seen.is_some_and(ObservedServer::serves) {
                self.staying.add(&place.name);
            }
        }
    }

    fn scene(
        &self,
        name: &ServerName,
        record: Option<&AppliedServer>,
        instance: Option<&Instance>,
    ) -> Scene<'_> {
        let exposure = self.inputs.exposure;
        let limits = &self.inputs.seen.limits;
        Scene {
            policy: &exposure.policy,
            parking: exposure.slots.parking,
            by_address: exposure.names == Names::Address,
            adds_checked: false,
            limits,
            own_weight: limits.line_weight.or(record.and_then(|record| record.own_weight)),
            bring_up: instance.map_or(BringUp::Probe, |instance| bring_up(self.inputs, instance)),
            may_prove: self.provable > 0,
            same_process: self.inputs.same_process,
            others_serve: self.staying.besides(name),
            reached: self.inputs.probes.get(&(exposure.backend.clone(), name.clone())).copied(),
            now: self.inputs.now,
        }
    }

    fn add(&mut self, place: &Place<'_>, instance: &Instance, weight: Option<Weight>) -> Steps {
        let why = match place.record {
            Some(record) if self.inputs.same_process && !record.confirmed => Reason::Unfinished,
            Some(_) if self.inputs.same_process => Reason::Drifted,
            Some(_) => Reason::Restarted,
            None => Reason::Appeared(instance.id.clone()),
        };
        let add = self.addition(place, instance.endpoint, weight);
        let steps = Steps { changes: vec![(add, why.clone())], ..Steps::default() };
        let scene = Scene {
            adds_checked: self.line().check.is_some(),
            ..self.scene(&place.name, place.record, Some(instance))
        };
        rise(&scene, steps, instance, weight, None, &why)
    }

    fn add_spare(&mut self, place: &Place<'_>) -> Steps {
        let add = self.addition(place, self.inputs.exposure.slots.parking, None);
        let next = AppliedServer::new(Phase::Parked, self.inputs.now);
        Steps { changes: vec![(add, Reason::Growth)], next: Some(next), ..Steps::default() }
    }

    /// What the line of a server that is added says, but for what is its own.
    fn line(&self) -> &ServerKeywords {
        self.line.get_or_init(|| line(self.inputs))
    }

    fn addition(&mut self, place: &Place<'_>, endpoint: Endpoint, weight: Option<Weight>) -> Change {
        let policy = &self.inputs.exposure.policy;
        let mut keywords = self.line().clone();
        keywords.backup = place.row.shape().backup;
        keywords.weight = weight.or(keywords.weight);
        let has_cookie = policy.cookie || has_cookie(self.inputs);
        if has_cookie && self.inputs.seen.limits.version >= COOKIE_LIVE {
            keywords.cookie = CookieValue::of(&place.name);
        }
        let checked = policy.bring_up == Some(BringUp::Check) && keywords.check.is_some();
        if checked && self.inputs.seen.limits.version >= INIT_STATE {
            // A second safety beside the drain: until its check has passed it is down in every respect.
            keywords.init_state = Some(InitState::Down);
        }
        let numbers = self.numbers.get_or_insert_with(|| Numbers::of(self.inputs));
        keywords.id = Some(numbers.take(place.slot));
        Change::Add { endpoint, keywords: Box::new(keywords) }
    }

    fn take(
        &mut self,
        server: &ServerName,
        steps: Steps,
        seen: Option<&ObservedServer>,
        record: Option<&AppliedServer>,
    ) {
        let backend = &self.inputs.exposure.backend;
        let is_added = matches!(steps.changes.first(), Some((Change::Add { .. }, _)));
        let of_line = if is_added { self.line().weight } else { None };
        let own_weight = own_weight(self.inputs, &steps, seen, record, of_line);
        for (change, why) in steps.changes {
            if change == Change::State(State::Ready) {
                self.staying.add(server);
            }
            self.plan.operations.push(Operation {
                backend: backend.clone(),
                server: server.clone(),
                change,
                why,
            });
        }
        if let Some(endpoint) = steps.probe {
            let probe = self.inputs.exposure.policy.probe.clone();
            self.plan.probes.push(ProbeOrder {
                backend: backend.clone(),
                server: server.clone(),
                endpoint,
                probe,
            });
        }
        if let Some(wanted) = steps.weight_refused {
            let algorithm = self.inputs.seen.limits.algorithm.clone();
            self.plan.notes.push(Note::WeightRefused { server: server.clone(), wanted, algorithm });
        }
        self.plan.wake = self.plan.wake.into_iter().chain(steps.wake).min();
        if let Some(next) = steps.next {
            let made = is_added || (self.inputs.same_process && record.is_some_and(|record| record.made));
            self.records.push((server.clone(), AppliedServer { own_weight, made, ..next }));
        }
    }
}
