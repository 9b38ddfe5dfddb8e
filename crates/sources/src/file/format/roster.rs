//! Roster's own form: `services:`, and under it each service with its instances.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use roster_config::document::{Field, NotPlain, Text, View};
use roster_config::nearest::hint;
use roster_config::position::Position;
use roster_core::instance::{Instance, Unread};
use roster_haproxy::name::{InstanceId, ServiceName};

use super::{Broken, Reading, Wrong, instance, short};

type Services = BTreeMap<ServiceName, Vec<Instance>>;

pub(super) fn read(root: View<'_>, reading: &mut Reading<'_>) -> Result<Services, Vec<Wrong>> {
    let services = services_of(root, reading)?;
    let Some(services) = services.value.fields() else {
        let found = services.value.shown();
        let message = format!(
            "`services` wants a mapping from names to instances, found {found}; for none write `services: {{}}`"
        );
        return Err(vec![(services.at, message)]);
    };
    let read = services.filter_map(|service| reading.service(&service));
    Ok(read.collect())
}

/// The same, service by service, if the text is of a kind that allows it: the tree of them all takes more time and memory
/// than the rest.
pub(super) fn read_each(text: &mut Text<'_>, reading: &mut Reading<'_>) -> Result<Services, NotPlain> {
    let mut services = Services::new();
    text.entries("services", |service| services.extend(reading.service(&service)))?;
    Ok(services)
}

/// The value of the key `services`. Other keys are reported; those that begin with `x-` may hold anchors.
fn services_of<'d>(root: View<'d>, reading: &mut Reading<'_>) -> Result<Field<'d>, Vec<Wrong>> {
    let Some(fields) = root.fields() else {
        let message = format!(
            "the file wants a mapping with the key `services`, found {}{}",
            root.shown(),
            if root.items().is_some() { "; if it is Prometheus's form, set `format: file_sd`" } else { "" }
        );
        return Err(vec![(root.at(), message)]);
    };
    let mut services = None;
    let mut unknown: Vec<Wrong> = Vec::new();
    for field in fields {
        match field.key {
            "services" => services = Some(field),
            key if key.starts_with("x-") => {}
            key => {
                let hint = hint(key, &["services"]);
                unknown
                    .push((field.at, format!("unknown key `{}` at the top of the file{hint}", short(key))));
            }
        }
    }
    let Some(services) = services else {
        // A slip in the one key is that, and not a missing one.
        unknown.retain(|(_, message)| message.contains("did you mean"));
        if unknown.is_empty() {
            let message = "the key `services` is missing at the top of the file; services stand under it \
                           (for none write `services: {}`)";
            unknown.push((root.at(), message.to_owned()));
        }
        return Err(unknown);
    };
    for (at, message) in unknown {
        reading.rejects.add(at, message);
    }
    Ok(services)
}

impl Reading<'_> {
    fn service(&mut self, field: &Field<'_>) -> Option<(ServiceName, Vec<Instance>)> {
        let name = match ServiceName::new(field.key) {
            Ok(name) => name,
            Err(error) => {
                // Any service of before may be the one that is called so now.
                let reason = format!("{error}; the service is left out");
                self.rejects.add_unread(field.at, reason, Unread::default());
                return None;
            }
        };
        match self.list(&name, field) {
            Ok(items) => {
                let instances = self.instances(&name, items);
                Some((name, instances))
            }
            Err((at, message)) => {
                let known =
                    self.known.and_then(|known| known.services.get(&name)).map(|known| known.to_vec());
                let then = if known.is_some() { "what was known of it stays" } else { "it is left out" };
                let reason = format!("service `{name}` {message}; {then}");
                self.rejects.add_unread(at, reason, Unread::of_service(name.clone()));
                known.map(|known| (name, known))
            }
        }
    }

    /// The items of a service: its value, or what stands under `instances` there.
    fn list<'d>(&mut self, service: &ServiceName, field: &Field<'d>) -> Result<Vec<View<'d>>, Wrong> {
        let wrong = |at: Position, value: View<'_>| {
            let found = value.shown();
            Err((at, format!("wants a list of instances, found {found} (for no instance write `[]`)")))
        };
        if let Some(items) = field.value.items() {
            return Ok(items.collect());
        }
        let Some(fields) = field.value.fields() else { return wrong(field.at, field.value) };
        let mut list = None;
        for inner in fields {
            if inner.key == "instances" {
                list = Some(inner);
            } else {
                let hint = hint(inner.key, &["instances"]);
                let key = short(inner.key);
                let reason = format!("unknown key `{key}` in service `{service}`{hint}");
                self.rejects.add_unread(inner.at, reason, Unread::of_service(service.clone()));
            }
        }
        match list.map(|list| (list.value.items(), list)) {
            Some((Some(items), _)) => Ok(items.collect()),
            Some((None, list)) => wrong(list.at, list.value),
            None => Err((field.at, "has no key `instances` (for no instance write `[]`)".to_owned())),
        }
    }

    fn instances(&mut self, service: &ServiceName, items: Vec<View<'_>>) -> Vec<Instance> {
        let mut instances = Vec::with_capacity(items.len());
        let mut seen: HashMap<InstanceId, Position> = HashMap::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let Broken { wrong, unread } = match instance::read(item) {
                Ok(instance) => match seen.entry(instance.id.clone()) {
                    Entry::Vacant(entry) => {
                        entry.insert(item.at());
                        instances.push(instance);
                        continue;
                    }
                    Entry::Occupied(first) => {
                        let (id, first) = (first.key(), first.get());
                        let message =
                            format!("its id `{id}` is taken by the one at {first}; give it another `id`");
                        Broken::at(item.at(), message, Some(instance.endpoint))
                    }
                },
                Err(broken) => broken,
            };
            // One entry is one instance, however much is wrong with it.
            let mut unread = Some(Unread { service: Some(service.clone()), ..unread });
            for (at, message) in wrong {
                let number = index + 1;
                let text = format!("instance {number} of `{service}`: {message}; the instance is left out");
                match unread.take() {
                    Some(unread) => self.rejects.add_unread(at, text, unread),
                    None => self.rejects.add(at, text),
                }
            }
        }
        instances
    }
}
