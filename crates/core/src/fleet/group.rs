//! From machines to services.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use roster_haproxy::address::{Endpoint, Port, parse_ip};
use roster_haproxy::name::{InstanceId, Label, ServiceName};

use super::tags::{self, Membership, Memberships, Shown, Wrong};
use super::{Machine, Reported, TagRules, Untold, unreadable};
use crate::instance::{Definition, HealthAuthority, Instance, Members, Reject, Snapshot, Unread};
use crate::shared::Interner;

/// The services that machines make: one for each name, port and region, called `NAME/PORT/REGION`.
///
/// `known` is what was said before. Its services stay for a while, without an instance if none is left, and so do its
/// instances whose machines are in [`Reported::unknown`] or in a part of [`Reported::untold`].
pub fn snapshot<M: IntoIterator<Item = Machine>>(
    reported: Reported<M>,
    rules: &TagRules,
    known: Option<&Snapshot>,
    taken: Timestamp,
) -> Snapshot {
    let Reported { machines, unknown, untold, ended, rejects } = reported;
    let mut gaps = Gaps::new(&unknown, &untold);
    for id in &ended {
        gaps.fill(id);
    }
    let metadata_kept = rules.kept.clone();
    let made = Snapshot { rejects, metadata_kept, taken, ..Snapshot::default() };
    let mut grouping = Grouping { rules, known, ids: BTreeSet::new(), metadata: Interner::default(), made };
    for machine in machines {
        gaps.fill(&machine.id);
        if rules.concerns(&machine) {
            grouping.add(&machine);
        }
    }
    if let Some(known) = known {
        grouping.keep(known, &gaps);
    }
    grouping.miss(&unknown);
    grouping.blind(known, &untold);
    grouping.finish()
}

/// How long a service is remembered that has no machine.
const REMEMBERED_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How many such services are remembered; of more, those that had one last.
const REMEMBERED: usize = 1000;

/// A machine in one service.
type Member = (ServiceName, Definition, Instance);

struct Grouping<'r> {
    rules: &'r TagRules,
    known: Option<&'r Snapshot>,
    /// The machines that are in a service already, or in several.
    ids: BTreeSet<InstanceId>,
    metadata: Interner<BTreeMap<String, String>>,
    made: Snapshot,
}

/// A machine in its services.
struct Joined {
    id: InstanceId,
    members: Vec<Member>,
    /// Services that cannot be read, beside others that can.
    unread: Vec<Wrong>,
    /// What is wrong with the machine and can be done without.
    asides: Vec<Wrong>,
}

/// What an answer does not tell of.
struct Gaps<'r> {
    unknown: BTreeSet<InstanceId>,
    groups: BTreeSet<&'r str>,
    rest: bool,
    /// Machines that were told, whatever was said of them.
    told: BTreeSet<InstanceId>,
}

impl Grouping<'_> {
    fn add(&mut self, machine: &Machine) {
        let id = &machine.id;
        let Joined { id: known_as, members, unread, asides } = match self.joined(machine) {
            Ok(joined) => joined,
            Err(wrong) => return self.made.rejects.push(unreadable(id, place(machine), wrong)),
        };
        if !self.ids.insert(known_as) {
            let twice = "the cloud lists it twice; the first one counts";
            return self.made.rejects.push(unreadable(id, place(machine), twice));
        }
        for (key, definition, instance) in members {
            self.made.services.entry(key.clone()).or_default().push(instance);
            self.made.definitions.entry(key).or_insert(definition);
        }
        let unread = unread.into_iter().map(|reason| unreadable(id, place(machine), reason));
        let asides = asides.into_iter().map(|reason| Reject::aside(place(machine), reason));
        self.made.rejects.extend(unread.chain(asides));
    }

    /// The machine as an instance of each of its services.
    fn joined(&mut self, machine: &Machine) -> Result<Joined, Wrong> {
        let rules = self.rules;
        let id = tags::id(&machine.id)?;
        let region = tags::region(machine)?;
        let zone = tags::zone(machine)?;
        let ip = address(machine)?;
        let definition = |service: &ServiceName, port| Definition {
            name: service.clone(),
            port: Some(port),
            region: Some(region.clone()),
            empty_since: None,
        };
        let known_port = |service: &ServiceName, port: Port| {
            let key = key(&definition(service, port)).ok()?;
            Some(self.before_in(&key, &id)?.endpoint.port)
        };
        let Memberships { found, unread, mut asides } = rules.memberships(machine, known_port)?;
        let group = aside(tags::group(machine), &mut asides, || self.before(&id)?.group.clone());
        let zone_share = aside(rules.zone_share(machine), &mut asides, || self.before(&id)?.zone_share);
        let kept = machine.tags.iter().filter(|(key, _)| rules.is_kept(key));
        let metadata = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
        let metadata = self.metadata.intern(metadata);
        let member = |Membership { service, port, own }| {
            let definition = definition(&service, port);
            let instance = Instance {
                id: id.clone(),
                endpoint: Endpoint { ip, port: own },
                zone: zone.clone(),
                region: Some(region.clone()),
                group: group.clone(),
                weight: None,
                zone_share,
                health: machine.health,
                // A cloud knows whether a machine runs, and seldom whether the service on it does.
                health_authority: HealthAuthority::Checks,
                lifecycle: machine.lifecycle,
                metadata: metadata.clone(),
            };
            Ok((key(&definition)?, definition, instance))
        };
        let members = found.into_iter().map(member).collect::<Result<_, Wrong>>()?;
        Ok(Joined { id, members, unread, asides })
    }

    /// What was last known of an instance in a service.
    fn before_in(&self, service: &ServiceName, id: &InstanceId) -> Option<&Instance> {
        self.known?.services.get(service)?.iter().find(|instance| instance.id == *id)
    }

    /// What was last known of an instance.
    fn before(&self, id: &InstanceId) -> Option<&Instance> {
        self.known?.services.values().flatten().find(|instance| instance.id == *id)
    }

    /// Keeps what was known: the instances of which nothing was learned, and for a while the services without one.
    fn keep(&mut self, known: &Snapshot, gaps: &Gaps<'_>) {
        let mut empty: Vec<(Timestamp, &ServiceName, &Definition)> = Vec::new();
        let mut ids = BTreeSet::new();
        for (service, instances) in &known.services {
            let Some(definition) = known.definitions.get(service) else { continue };
            let kept: Vec<Instance> = instances
                .iter()
                .filter(|instance| gaps.have(instance) && !self.ids.contains(&instance.id))
                .cloned()
                .collect();
            if !kept.is_empty() {
                // It may be in several services.
                ids.extend(kept.iter().map(|instance| instance.id.clone()));
                self.made.services.entry(service.clone()).or_default().extend(kept);
                let again = Definition { empty_since: None, ..definition.clone() };
                self.made.definitions.entry(service.clone()).or_insert(again);
            } else if !self.made.services.contains_key(service) {
                empty.push((definition.empty_since.unwrap_or(self.made.taken), service, definition));
            }
        }
        self.ids.extend(ids);
        self.remember(empty);
    }

    /// Reports the machines of which nothing was learned and nothing is known: they may be instances all the same.
    fn miss(&mut self, unknown: &[String]) {
        for id in unknown {
            let is_known = tags::id(id).is_ok_and(|id| self.ids.contains(&id));
            let reject = unreadable(id, place_of(id, id), "the cloud does not say whether it runs");
            let is_told = self.made.rejects.iter().any(|told| told.unread == reject.unread);
            if !is_known && !is_told {
                self.made.rejects.push(reject);
            }
        }
    }

    /// Keeps services without an instance, so that their backends are emptied and not forgotten.
    fn remember(&mut self, mut empty: Vec<(Timestamp, &ServiceName, &Definition)>) {
        let now = self.made.taken;
        empty.retain(|(since, ..)| now.duration_since(*since) < REMEMBERED_FOR);
        empty.sort_by_key(|(since, ..)| std::cmp::Reverse(*since));
        empty.truncate(REMEMBERED);
        for (since, service, definition) in empty {
            let definition = Definition { empty_since: Some(since), ..definition.clone() };
            self.made.services.insert(service.clone(), Members::default());
            self.made.definitions.insert(service.clone(), definition);
        }
    }

    /// Where nothing was known when a part was not told, any server may be of that part, as long as the part is not told.
    fn blind(&mut self, known: Option<&Snapshot>, untold: &[Untold]) {
        let blind = Reject::unread(
            "a part of the cloud",
            "it was not told since Roster began, and nothing is known of it from before; what it may hold stays",
            Unread::default(),
        );
        if !untold.is_empty() && known.is_none_or(|known| known.rejects.contains(&blind)) {
            self.made.rejects.push(blind);
        }
    }

    fn finish(self) -> Snapshot {
        let mut made = self.made;
        made.services.values_mut().for_each(|members| members.sort_by(|one, two| one.id.cmp(&two.id)));
        made.rejects.sort();
        made.rejects.dedup();
        made
    }
}

impl<'r> Gaps<'r> {
    fn new(unknown: &[String], untold: &'r [Untold]) -> Self {
        let groups = untold.iter().filter_map(|part| match part {
            Untold::Group(name) => Some(name.as_str()),
            Untold::Rest => None,
        });
        Self {
            unknown: unknown.iter().filter_map(|id| tags::id(id).ok()).collect(),
            groups: groups.collect(),
            rest: untold.contains(&Untold::Rest),
            told: BTreeSet::new(),
        }
    }

    /// Takes in that something was said of a machine, which matters where a part was not told.
    fn fill(&mut self, id: &str) {
        if self.rest || !self.groups.is_empty() {
            self.told.extend(tags::id(id).ok());
        }
    }

    /// Whether nothing was learned of this instance.
    fn have(&self, instance: &Instance) -> bool {
        let of_group = || instance.group.as_ref().is_some_and(|group| self.groups.contains(group.as_str()));
        let untold = self.rest || of_group();
        self.unknown.contains(&instance.id) || (untold && !self.told.contains(&instance.id))
    }
}

/// What was read, or what was known before; what is wrong is put aside.
fn aside<T>(
    read: Result<Option<T>, Wrong>,
    asides: &mut Vec<Wrong>,
    before: impl FnOnce() -> Option<T>,
) -> Option<T> {
    read.unwrap_or_else(|wrong| {
        let known = before();
        asides.push(tags::stays(wrong, known.is_some()));
        known
    })
}

/// Neither a name nor a region has a slash, so that no two services have one key.
pub(crate) fn key(definition: &Definition) -> Result<ServiceName, Wrong> {
    let Definition { name, port, region, .. } = definition;
    let port = port.map_or(0, Port::get);
    let region = region.as_ref().map_or("", Label::as_str);
    ServiceName::new(&format!("{name}/{port}/{region}"))
        .map_err(|error| format!("{error}; take a shorter name for the service"))
}

/// What a service's key says of it; none for one that [`snapshot`] has not made.
pub fn definition(key: &ServiceName) -> Option<Definition> {
    let mut parts = key.as_str().split('/');
    let (name, port, region) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some(Definition {
        name: name.parse().ok()?,
        port: Some(port.parse().ok()?),
        region: Some(region.parse().ok()?),
        empty_since: None,
    })
}

fn address(machine: &Machine) -> Result<IpAddr, Wrong> {
    parse_ip(&machine.address.to_string()).map_err(|error| format!("its private address: {error}"))
}

/// The machine's id, or the end of it where it is long, and what people call it.
fn place(machine: &Machine) -> String {
    place_of(&machine.id, &machine.name)
}

fn place_of(id: &str, name: &str) -> String {
    let long = id.chars().count().saturating_sub(64);
    let end: String = id.chars().skip(long).collect();
    let shown = format!("{}{}", if long > 0 { "…" } else { "" }, Shown(&end));
    if name == id || name.is_empty() {
        return shown;
    }
    format!("{shown} ({})", Shown(name))
}
