//! From machines to services.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::tags::{self, Shown, Wrong};
use super::{Machine, Reported, TagRules, unreadable};
use crate::address::{Endpoint, Port, parse_ip};
use crate::instance::{Definition, HealthAuthority, Instance, Reject, Snapshot};
use crate::name::{InstanceId, Label, ServiceName};

/// The services that machines make: one for each name, port and region, called `NAME/PORT/REGION`.
///
/// `known` is what was said before. Its services stay, without an instance if nobody is left, and so do its instances whose
/// machines are in [`Reported::unknown`].
pub fn snapshot(
    reported: Reported,
    rules: &TagRules,
    known: Option<&Snapshot>,
    taken: Timestamp,
) -> Snapshot {
    let Reported { machines, unknown, rejects } = reported;
    let mut grouping =
        Grouping { rules, ids: BTreeSet::new(), made: Snapshot { rejects, taken, ..Snapshot::default() } };
    for machine in machines.into_iter().filter(|machine| rules.concerns(machine)) {
        grouping.add(machine);
    }
    if let Some(known) = known {
        grouping.keep(known, &unknown);
    }
    grouping.finish()
}

struct Grouping<'r> {
    rules: &'r TagRules,
    /// Who is in a service already.
    ids: BTreeSet<InstanceId>,
    made: Snapshot,
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
    fn keep(&mut self, known: &Snapshot, unknown: &[String]) {
        let unknown: BTreeSet<InstanceId> = unknown.iter().filter_map(|id| tags::id(id).ok()).collect();
        for (service, instances) in &known.services {
            let Some(definition) = known.definitions.get(service) else { continue };
            let members = self.made.services.entry(service.clone()).or_default();
            self.made.definitions.entry(service.clone()).or_insert_with(|| definition.clone());
            for instance in instances.iter().filter(|instance| unknown.contains(&instance.id)) {
                if self.ids.insert(instance.id.clone()) {
                    members.push(instance.clone());
                }
            }
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
