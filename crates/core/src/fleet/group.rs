//! From machines to services.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::tags::{self, Shown, Wrong};
use super::{Machine, Reported, TagRules, Untold, unreadable};
use crate::address::{Endpoint, Port, parse_ip};
use crate::instance::{Definition, HealthAuthority, Instance, Reject, Snapshot, Unread};
use crate::name::{InstanceId, Label, ServiceName};

/// The services that machines make: one for each name, port and region, called `NAME/PORT/REGION`.
///
/// `known` is what was said before. Its services stay, without an instance if nobody is left, and so do its instances whose
/// machines are in [`Reported::unknown`] or in a part of [`Reported::untold`].
pub fn snapshot(
    reported: Reported,
    rules: &TagRules,
    known: Option<&Snapshot>,
    taken: Timestamp,
) -> Snapshot {
    let Reported { machines, unknown, untold, ended, rejects } = reported;
    let gaps = Gaps::new(&unknown, &untold, machines.iter().map(|machine| &machine.id).chain(&ended));
    let mut grouping =
        Grouping { rules, ids: BTreeSet::new(), made: Snapshot { rejects, taken, ..Snapshot::default() } };
    for machine in machines.into_iter().filter(|machine| rules.concerns(machine)) {
        grouping.add(machine);
    }
    if let Some(known) = known {
        grouping.keep(known, &gaps);
    }
    grouping.blind(known, &untold);
    grouping.finish()
}

struct Grouping<'r> {
    rules: &'r TagRules,
    /// Who is in a service already.
    ids: BTreeSet<InstanceId>,
    made: Snapshot,
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
    fn add(&mut self, machine: Machine) {
        let (place, id) = (place(&machine), machine.id.clone());
        let mut asides = Vec::new();
        let joined = self.member(machine, &mut asides).and_then(|(definition, instance)| {
            let key = key(&definition)?;
            if !self.ids.insert(instance.id.clone()) {
                return Err("the cloud lists it twice; the first one counts".to_owned());
            }
            Ok((key, definition, instance))
        });
        match joined {
            Ok((key, definition, instance)) => {
                self.made.services.entry(key.clone()).or_default().push(instance);
                self.made.definitions.entry(key).or_insert(definition);
            }
            // What is aside does not matter then.
            Err(wrong) => {
                self.made.rejects.push(unreadable(&id, place, wrong));
                return;
            }
        }
        let rejects = asides.into_iter().map(|reason| Reject::aside(place.clone(), reason));
        self.made.rejects.extend(rejects);
    }

    /// The machine as an instance, and of what. What is wrong with it and can be done without is put aside.
    fn member(&self, machine: Machine, asides: &mut Vec<Wrong>) -> Result<(Definition, Instance), Wrong> {
        let rules = self.rules;
        let name = rules.service(&machine)?;
        let port = rules.service_port(&machine)?;
        let region = tags::region(&machine)?;
        let id = tags::id(&machine.id)?;
        let zone = tags::zone(&machine)?;
        let own = aside(rules.own_port(&machine), asides);
        let endpoint = endpoint(&machine, own.unwrap_or(port))?;
        let instance = Instance {
            id,
            endpoint,
            zone,
            region: Some(region.clone()),
            group: aside(tags::group(&machine), asides),
            weight: None,
            zone_share: aside(rules.zone_share(&machine), asides),
            health: machine.health,
            // A cloud knows whether a machine runs, and seldom whether the service on it does.
            health_authority: HealthAuthority::Checks,
            lifecycle: machine.lifecycle,
            metadata: machine.tags,
        };
        Ok((Definition { name, port: Some(port), region: Some(region) }, instance))
    }

    /// Keeps what was known: every service, and those instances of which nothing was learned.
    fn keep(&mut self, known: &Snapshot, gaps: &Gaps<'_>) {
        for (service, instances) in &known.services {
            let Some(definition) = known.definitions.get(service) else { continue };
            let members = self.made.services.entry(service.clone()).or_default();
            self.made.definitions.entry(service.clone()).or_insert_with(|| definition.clone());
            for instance in instances.iter().filter(|instance| gaps.have(instance)) {
                if self.ids.insert(instance.id.clone()) {
                    members.push(instance.clone());
                }
            }
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
    fn new<'i>(unknown: &'i [String], untold: &'r [Untold], told: impl Iterator<Item = &'i String>) -> Self {
        let id = |id: &String| tags::id(id).ok();
        let groups = untold.iter().filter_map(|part| match part {
            Untold::Group(name) => Some(name.as_str()),
            Untold::Rest => None,
        });
        Self {
            unknown: unknown.iter().filter_map(id).collect(),
            groups: groups.collect(),
            rest: untold.contains(&Untold::Rest),
            // Only a part that was not told wants to know them.
            told: if untold.is_empty() { BTreeSet::new() } else { told.filter_map(id).collect() },
        }
    }

    /// Whether nothing was learned of this instance.
    fn have(&self, instance: &Instance) -> bool {
        let of_group = || instance.group.as_ref().is_some_and(|group| self.groups.contains(group.as_str()));
        let untold = self.rest || of_group();
        self.unknown.contains(&instance.id) || (untold && !self.told.contains(&instance.id))
    }
}

/// What was read, or nothing; what is wrong is put aside.
fn aside<T>(read: Result<Option<T>, Wrong>, asides: &mut Vec<Wrong>) -> Option<T> {
    read.unwrap_or_else(|wrong| {
        asides.push(wrong);
        None
    })
}

/// Neither a name nor a region has a slash, so that no two services have one key.
pub(crate) fn key(definition: &Definition) -> Result<ServiceName, Wrong> {
    let Definition { name, port, region } = definition;
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
    })
}

fn endpoint(machine: &Machine, port: Port) -> Result<Endpoint, Wrong> {
    let ip =
        parse_ip(&machine.address.to_string()).map_err(|error| format!("its private address: {error}"))?;
    Ok(Endpoint { ip, port })
}

/// The machine's id, or the end of it where it is long, and what people call it.
fn place(machine: &Machine) -> String {
    let long = machine.id.chars().count().saturating_sub(64);
    let end: String = machine.id.chars().skip(long).collect();
    let id = format!("{}{}", if long > 0 { "…" } else { "" }, Shown(&end));
    if machine.name == machine.id || machine.name.is_empty() {
        return id;
    }
    format!("{id} ({})", Shown(&machine.name))
}
