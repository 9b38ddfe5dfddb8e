//! The plan for one backend.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::derive::{derive, slot_by_name};
use super::server::{Goal, Scene, Steps, rise, steps};
use super::standing::standing;
use super::types::{Change, Note, Operation, ProbeOrder, ProbeResults, Reason, Standing, Status};
use crate::address::Endpoint;
use crate::applied::{AppliedBackend, AppliedServer, Phase};
use crate::exposure::{BringUp, Exposure, Names, Own};
use crate::guard::{Evidence, GuardRecord, Judged, Wish, judge};
use crate::haproxy::Version;
use crate::haproxy::keywords::InitState;
use crate::instance::Instance;
use crate::name::{InstanceId, InvalidName, ServerName};
use crate::observed::{ObservedBackend, ObservedServer, State};
use crate::select::wishes;
use crate::slots::{Limits, Row, Shape, SlotNo, SlotTable, Wanted, address_name, assign};
use crate::weight::{ServerId, Weight};

/// Everything that the plan for one backend depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What is exposed there, and how.
    pub exposure: &'a Exposure,
    /// The instances that the source reports for the service.
    pub instances: &'a [&'a Instance],
    /// When it did, and whether the service itself is gone.
    pub evidence: Evidence<'a>,
    /// Whether the source vouches for its instances' health.
    pub vouches: bool,
    /// What HAProxy shows.
    pub seen: &'a ObservedBackend,
    /// What was last written there.
    pub applied: Option<&'a AppliedBackend>,
    /// Whether that was written to the process that was observed.
    pub same_process: bool,
    /// Which servers Roster has reached.
    pub probes: &'a ProbeResults,
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
    /// What an operator should know.
    pub notes: Vec<Note>,
    /// Instances that are kept out because they come and go.
    pub flapping: Vec<InstanceId>,
    /// Where each server stands.
    pub standings: BTreeMap<ServerName, Standing>,
}

/// The first version that takes `cookie` on `add server` (measured).
const COOKIE_LIVE: Version = Version::new(2, 8, 0);
/// The first version that knows `init-state` (configuration manual 5.2).
const INIT_STATE: Version = Version::new(3, 1, 0);

struct Desk<'a> {
    inputs: &'a Inputs<'a>,
    wishes: BTreeMap<InstanceId, Wish<'a>>,
    bring_up: BringUp,
    /// The servers that take traffic and are to go on doing so.
    staying: BTreeSet<ServerName>,
    plan: BackendPlan,
}

/// Plans one backend.
pub fn plan_backend(inputs: &Inputs<'_>) -> BackendPlan {
    let exposure = inputs.exposure;
    let all = wishes(exposure, inputs.instances);
    let before = derive(inputs, &all);
    let known = inputs.applied.map_or_else(GuardRecord::default, |applied| applied.guard.clone());
    let judged = judge(&before, all, &inputs.evidence, &known, &exposure.policy.guard, inputs.now);
    let Judged { wishes: judged, record: guard, wake, flapping } = judged;
    let mut wanted: Vec<Wanted<'_>> = Vec::with_capacity(judged.len());
    for wish in &judged {
        // An unwell instance keeps the slot it has, but is given none.
        if wish.well || before.rows.values().any(|row| row.instance() == Some(&wish.instance.id)) {
            wanted.push(Wanted { instance: &wish.instance, shape: wish.shape });
        }
    }
    let assignment = assign(&before, &wanted, &limits(inputs), inputs.now);
    let mut desk = Desk {
        inputs,
        bring_up: bring_up(inputs),
        staying: BTreeSet::new(),
        plan: BackendPlan {
            operations: Vec::new(),
            applied: AppliedBackend { guard, ..AppliedBackend::new(exposure) },
            wake,
            probes: Vec::new(),
            notes: assignment.unplaced.into_iter().map(Note::Unplaced).collect(),
            flapping,
            standings: BTreeMap::new(),
        },
        wishes: judged.into_iter().map(|wish| (wish.instance.id.clone(), wish)).collect(),
    };
    desk.staying = desk.who_stays(&assignment.table);
    for (slot, row) in &assignment.table.rows {
        desk.plan_row(*slot, row);
    }
    desk.see_to_the_others(&assignment.table);
    // Who comes comes first: at no moment may a backend be without a server because its last ones are leaving.
    desk.plan.operations.sort_by_key(Operation::is_going);
    desk.tell_what_cannot_be(&assignment.table);
    desk.plan
}

fn limits(inputs: &Inputs<'_>) -> Limits {
    let scheme = &inputs.exposure.slots;
    Limits {
        base: scheme.base,
        growth: scheme.growth,
        by_address: inputs.exposure.names == Names::Address,
        can_grow: inputs.seen.limits.dynamic,
        rest: inputs.exposure.policy.rest,
    }
}

fn bring_up(inputs: &Inputs<'_>) -> BringUp {
    let by_source = if inputs.vouches { BringUp::Registry } else { BringUp::Probe };
    inputs.exposure.policy.bring_up.unwrap_or(by_source)
}

impl Desk<'_> {
    fn name(&self, slot: SlotNo, row: &Row) -> Result<Option<ServerName>, InvalidName> {
        match &self.inputs.exposure.names {
            Names::Slot(names) => names.name(slot).map(Some),
            Names::Address => row.endpoint().map_or_else(
                || {
                    let mut seen = self.inputs.seen.servers.iter();
                    Ok(seen.find(|(_, server)| server.id.get() == slot.get()).map(|(name, _)| name.clone()))
                },
                |endpoint| address_name(endpoint).map(Some),
            ),
        }
    }

    /// The servers that take traffic now and will still: those of others, and ours whose instance stays where it is.
    fn who_stays(&self, table: &SlotTable) -> BTreeSet<ServerName> {
        let mut staying: BTreeMap<&ServerName, &ObservedServer> =
            self.inputs.seen.servers.iter().filter(|(_, seen)| seen.serves()).collect();
        for (slot, row) in &table.rows {
            let Ok(Some(name)) = self.name(*slot, row) else { continue };
            let well = matches!(row, Row::Held { instance: Some(id), .. }
                if self.wishes.get(id).is_some_and(|wish| wish.well));
            let moved = staying.get(&name).is_some_and(|seen| seen.endpoint() != row.endpoint());
            if !well || moved {
                staying.remove(&name);
            }
        }
        staying.into_keys().cloned().collect()
    }

    fn plan_row(&mut self, slot: SlotNo, row: &Row) {
        let name = match self.name(slot, row) {
            Ok(Some(name)) => name,
            Ok(None) => return,
            Err(error) => return self.plan.notes.push(Note::NoName(error.to_string())),
        };
        let seen = self.inputs.seen.servers.get(&name);
        let record = self.inputs.applied.and_then(|applied| applied.servers.get(&name));
        let wish = match row {
            Row::Held { instance: Some(id), .. } => self.wishes.get(id).cloned(),
            _ => None,
        };
        let goal = match &wish {
            Some(wish) if wish.well => {
                Goal::Serve { instance: &wish.instance, weight: self.weight(wish, record) }
            }
            Some(wish) => Goal::Rest { instance: &wish.instance },
            None => Goal::Park,
        };
        let steps = match (seen, goal) {
            (Some(seen), goal) => steps(&self.scene(&name), goal, seen, record),
            (None, Goal::Serve { instance, weight }) => {
                self.add(slot, &name, row.shape(), instance, weight, record)
            }
            (None, Goal::Park) if matches!(row, Row::Free { .. }) => self.add_spare(slot, row.shape()),
            (None, _) => Steps::default(),
        };
        let cap = self.inputs.exposure.policy.drain.cap;
        let standing = standing(&steps, seen, wish.as_ref(), record, cap);
        self.plan.standings.insert(name.clone(), standing);
        self.take(name, steps);
    }

    /// The weight that an instance should have; what a guard keeps has the one it had.
    fn weight(&self, wish: &Wish<'_>, record: Option<&AppliedServer>) -> Option<Weight> {
        if wish.held {
            return record.and_then(|record| record.weight);
        }
        crate::select::weight(&self.inputs.exposure.policy, &wish.instance)
    }

    fn scene(&self, name: &ServerName) -> Scene<'_> {
        let exposure = self.inputs.exposure;
        Scene {
            policy: &exposure.policy,
            parking: exposure.slots.parking,
            by_address: exposure.names == Names::Address,
            limits: &self.inputs.seen.limits,
            bring_up: self.bring_up,
            same_process: self.inputs.same_process,
            others_serve: self.staying.iter().any(|staying| staying != name),
            reached: self.inputs.probes.get(&(exposure.backend.clone(), name.clone())).copied(),
            now: self.inputs.now,
        }
    }

    fn add(
        &self,
        slot: SlotNo,
        name: &ServerName,
        shape: Shape,
        instance: &Instance,
        weight: Option<Weight>,
        record: Option<&AppliedServer>,
    ) -> Steps {
        let why = match record {
            Some(_) if self.inputs.same_process => Reason::Drifted,
            Some(_) => Reason::Restarted,
            None => Reason::Appeared(instance.id.clone()),
        };
        let add = self.addition(slot, name, shape, instance.endpoint, weight);
        let steps = Steps { changes: vec![(add, why.clone())], ..Steps::default() };
        rise(&self.scene(name), steps, instance, weight, None, &why)
    }

    fn add_spare(&self, slot: SlotNo, shape: Shape) -> Steps {
        let Ok(Some(name)) = self.name(slot, &Row::Free { shape, since: None }) else {
            return Steps::default();
        };
        let add = self.addition(slot, &name, shape, self.inputs.exposure.slots.parking, None);
        let next = AppliedServer {
            phase: Phase::Parked,
            since: self.inputs.now,
            instance: None,
            endpoint: None,
            weight: None,
            operator: None,
            confirmed: false,
        };
        Steps { changes: vec![(add, Reason::Growth)], next: Some(next), ..Steps::default() }
    }

    fn addition(
        &self,
        slot: SlotNo,
        name: &ServerName,
        shape: Shape,
        endpoint: Endpoint,
        weight: Option<Weight>,
    ) -> Change {
        let policy = &self.inputs.exposure.policy;
        let mut keywords = policy.server.clone();
        keywords.backup = shape.backup;
        keywords.weight = weight.or(keywords.weight);
        if policy.cookie && self.inputs.seen.limits.version >= COOKIE_LIVE {
            keywords.cookie = crate::name::CookieValue::new(name.as_str()).ok();
        }
        let checked = self.bring_up == BringUp::Check && keywords.check.is_some();
        if checked && self.inputs.seen.limits.version >= INIT_STATE {
            // A second safety beside the drain: until its check has passed it is down in every respect.
            keywords.init_state = Some(InitState::Down);
        }
        keywords.id = Some(self.id_for(slot));
        Change::Add { endpoint, keywords: Box::new(keywords) }
    }

    /// A new server's number: as far from its slot's as those of the others are, so that every HAProxy with the same
    /// slots has the same numbers; a free one beyond all where that is taken.
    fn id_for(&self, slot: SlotNo) -> ServerId {
        let servers = &self.inputs.seen.servers;
        let numbered =
            servers.iter().filter_map(|(name, seen)| Some((slot_by_name(self.inputs, name)?, seen.id)));
        let offset = numbered.map(|(no, id)| i64::from(id.get()) - i64::from(no.get())).next().unwrap_or(0);
        let wanted = u32::try_from(i64::from(slot.get()) + offset).ok().and_then(ServerId::new);
        let planned = self.plan.operations.iter().filter_map(|operation| match &operation.change {
            Change::Add { keywords, .. } => keywords.id,
            _ => None,
        });
        let taken: BTreeSet<ServerId> = servers.values().map(|seen| seen.id).chain(planned).collect();
        let beyond = taken.last().and_then(|last| ServerId::new(last.get().saturating_add(1)));
        wanted.filter(|id| !taken.contains(id)).or(beyond).unwrap_or(ServerId::FIRST)
    }

    fn take(&mut self, server: ServerName, steps: Steps) {
        let backend = &self.inputs.exposure.backend;
        for (change, why) in steps.changes {
            if change == Change::State(State::Ready) {
                self.staying.insert(server.clone());
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
            self.plan.applied.servers.insert(server, next);
        }
    }

    /// What cannot be done live here, told before it is needed.
    fn tell_what_cannot_be(&mut self, table: &SlotTable) {
        let ObservedBackend { limits, servers } = self.inputs.seen;
        let policy = &self.inputs.exposure.policy;
        if !limits.dynamic {
            let (algorithm, slots) = (limits.algorithm.clone(), table.rows.len());
            self.plan.notes.push(Note::Static { algorithm, slots });
        }
        let unchecked = servers.iter().filter(|(name, server)| {
            !server.check.configured && self.plan.applied.servers.contains_key(*name)
        });
        let unchecked = unchecked.count();
        if self.bring_up == BringUp::Check && unchecked > 0 {
            self.plan.notes.push(Note::NoCheck { slots: unchecked });
        }
        if policy.cookie && limits.version < COOKIE_LIVE {
            self.plan.notes.push(Note::NoCookie { version: limits.version.to_string() });
        }
    }

    /// Servers that are not Roster's: shown, and left alone, unless the whole backend is.
    fn see_to_the_others(&mut self, table: &SlotTable) {
        for (name, seen) in &self.inputs.seen.servers {
            if self.plan.standings.contains_key(name) {
                continue;
            }
            if self.inputs.exposure.own == Own::Whole {
                let record = self.inputs.applied.and_then(|applied| applied.servers.get(name));
                let steps = steps(&self.scene(name), Goal::Park, seen, record);
                let cap = self.inputs.exposure.policy.drain.cap;
                self.plan.standings.insert(name.clone(), standing(&steps, Some(seen), None, record, cap));
                self.take(name.clone(), steps);
                continue;
            }
            let standing =
                Standing { status: Status::Foreign, instance: None, endpoint: seen.endpoint(), since: None };
            self.plan.standings.insert(name.clone(), standing);
        }
        let Names::Slot(names) = &self.inputs.exposure.names else { return };
        let ours = self.inputs.seen.servers.keys().any(|name| names.slot(name).is_some());
        if !ours && !self.inputs.seen.servers.is_empty() && !table.rows.is_empty() {
            let there = self.inputs.seen.servers.keys().take(3).cloned().collect();
            self.plan.notes.push(Note::NoSlots { names: names.to_string(), there });
        }
    }
}

impl<'a> Wish<'a> {
    /// A wish for an instance that is well.
    pub fn for_instance(instance: &'a Instance, shape: Shape) -> Self {
        Self { instance: Cow::Borrowed(instance), shape, well: true, held: false }
    }
}
