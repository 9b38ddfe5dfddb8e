//! The form of Prometheus's `file_sd`: a list of target groups with labels, in JSON or YAML
//! (its documentation: configuration, `file_sd_config`).
//!
//! A group that cannot be read costs that group alone: it is left out, and what it may stand for is not missing. As there,
//! `null` is an empty list.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use roster_config::document::{Field, View};
use roster_config::nearest::hint;
use roster_config::position::Position;
use roster_core::instance::{Instance, Unread};
use roster_haproxy::address::Endpoint;
use roster_haproxy::name::{self, ServiceName};
use roster_haproxy::weight::Weight;

use super::instance::weight;
use super::{Reading, Wrong, partly, short};

type Services = BTreeMap<ServiceName, Vec<Instance>>;

/// Where each target of each service stands.
type Seen = HashMap<ServiceName, HashMap<Endpoint, Position>>;

/// A label's place, name and value.
type Label<'d> = (Position, &'d str, &'d str);

/// One target group.
struct Group<'d> {
    at: Position,
    targets: Vec<View<'d>>,
    labels: Vec<Label<'d>>,
}

/// A group that cannot be read: what is wrong with it, and its labels if those can be read.
struct Unreadable<'d> {
    wrong: Vec<Wrong>,
    labels: Option<Vec<Label<'d>>>,
}

/// What the labels of a group say of its instances.
#[derive(Default)]
struct Labels {
    zone: Option<name::Label>,
    region: Option<name::Label>,
    group: Option<name::Label>,
    weight: Option<Weight>,
    metadata: BTreeMap<String, String>,
    /// Those of the first four that cannot be read.
    unread: BTreeSet<&'static str>,
}

pub(super) fn read(root: View<'_>, reading: &mut Reading<'_>) -> Result<Services, Vec<Wrong>> {
    let Some(items) = root.items() else {
        let found = root.shown();
        let message = format!("the file wants a list of target groups, found {found}; for none write `[]`");
        return Err(vec![(root.at(), message)]);
    };
    let (mut services, mut seen, mut unreadable) = (Services::new(), Seen::new(), Vec::new());
    let mut any = false;
    for (index, item) in items.enumerate() {
        match group(index + 1, item) {
            Ok(group) => {
                any = true;
                reading.group(group, &mut services, &mut seen);
            }
            Err(one) => unreadable.push(one),
        }
    }
    if !any && !unreadable.is_empty() {
        // Then it is not this form at all.
        return Err(unreadable.into_iter().flat_map(|one| one.wrong).collect());
    }
    for one in unreadable {
        reading.unreadable(one);
    }
    Ok(services)
}

/// The group, if it is of its form; all that is wrong with it, if not.
fn group(number: usize, item: View<'_>) -> Result<Group<'_>, Unreadable<'_>> {
    let mut wrong: Vec<Wrong> = Vec::new();
    let mut fault =
        |at: Position, message: String| wrong.push((at, format!("target group {number} {message}")));
    let Some(fields) = item.fields() else {
        fault(item.at(), format!("wants a mapping with `targets` and `labels`, found {}", item.shown()));
        return Err(Unreadable { wrong, labels: None });
    };
    let (mut targets, mut labels) = (None, Some(Vec::new()));
    for field in fields {
        match field.key {
            "targets" => match field.value.items() {
                Some(items) => targets = Some(items.collect()),
                // As Go's programs write an empty list.
                None if field.value.is_nothing() => targets = Some(Vec::new()),
                None => {
                    targets = Some(Vec::new());
                    fault(field.at, format!("wants a list as `targets`, found {}", field.value.shown()));
                }
            },
            "labels" if field.value.is_nothing() => {}
            "labels" => match labels_of(&field) {
                Ok(found) => labels = Some(found),
                Err((at, message)) => {
                    labels = None;
                    fault(at, message);
                }
            },
            key => {
                let hint = hint(key, &["targets", "labels"]);
                fault(field.at, format!("has the unknown key `{}`{hint}", short(key)));
            }
        }
    }
    if targets.is_none() {
        fault(item.at(), "has no key `targets`".to_owned());
    }
    match (targets, labels) {
        (Some(targets), Some(labels)) if wrong.is_empty() => Ok(Group { at: item.at(), targets, labels }),
        (_, labels) => Err(Unreadable { wrong, labels }),
    }
}

fn labels_of<'d>(field: &Field<'d>) -> Result<Vec<Label<'d>>, Wrong> {
    let Some(fields) = field.value.fields() else {
        let found = field.value.shown();
        return Err((
            field.value.at(),
            format!("wants a mapping from names to texts as `labels`, found {found}"),
        ));
    };
    // A label without a value is the same as none, as in Prometheus.
    let valued = fields.filter(|label| !label.value.is_nothing());
    let wrong = |label: &Field<'d>| {
        let (key, found) = (short(label.key), label.value.shown());
        (label.value.at(), format!("wants a text as label `{key}`, found {found}"))
    };
    let text = |label: Field<'d>| {
        label.value.text().map(|text| (label.value.at(), label.key, text)).ok_or_else(|| wrong(&label))
    };
    valued.map(text).collect()
}

impl Reading<'_> {
    fn group(&mut self, group: Group<'_>, services: &mut Services, seen: &mut Seen) {
        let (at, name) = self.name_of(group.at, &group.labels);
        let name = match ServiceName::new(name) {
            Ok(name) => name,
            Err(error) => {
                let count = group.targets.len();
                let reason = format!("{error}; the {count} targets of this group are left out");
                self.rejects.add_unread(at, reason, Unread::default());
                return;
            }
        };
        let labels = self.labels(&name, &group);
        let known =
            self.known.and_then(|known| known.services.get(&name)).map_or(&[][..], |known| known.as_slice());
        let instances = services.entry(name.clone()).or_default();
        let seen = seen.entry(name.clone()).or_default();
        for target in group.targets {
            match endpoint(target, seen) {
                Ok(endpoint) => instances.push(labels.instance(endpoint, known)),
                Err(Wanting::Repeated(message)) => {
                    self.rejects.add(target.at(), format!("target of `{name}`: {message}; it is left out"));
                }
                Err(Wanting::Unread(message)) => {
                    let (ip, port) = target.text().map_or((None, None), partly);
                    let unread = Unread { service: Some(name.clone()), instance: None, ip, port };
                    let reason = format!("target of `{name}`: {message}; it is left out");
                    self.rejects.add_unread(target.at(), reason, unread);
                }
            }
        }
    }

    /// Leaves a group out. Its instances are those of its service, as far as its labels say which one that is.
    fn unreadable(&mut self, group: Unreadable<'_>) {
        let Unreadable { wrong, labels } = group;
        let at = wrong.first().map_or(Position { line: 1, column: 1 }, |(at, _)| *at);
        let service = labels.and_then(|labels| ServiceName::new(self.name_of(at, &labels).1).ok());
        let mut unread = Some(Unread { service, ..Unread::default() });
        for (at, message) in wrong {
            let reason = format!("{message}; the group is left out");
            match unread.take() {
                Some(unread) => self.rejects.add_unread(at, reason, unread),
                None => self.rejects.add(at, reason),
            }
        }
    }

    /// The service of a group: from the configured label, else from `service` or `job`, else the file's own name.
    fn name_of<'n>(&'n self, group: Position, labels: &[Label<'n>]) -> (Position, &'n str) {
        let of =
            |wanted: &str| labels.iter().find(|(_, key, text)| *key == wanted && !text.is_empty()).copied();
        let label = [self.form.service_label.as_str(), "service", "job"].into_iter().find_map(of);
        label.map_or((group, &self.form.service), |(at, _, text)| (at, text))
    }

    /// What does not fit its field stays as metadata, and is reported.
    fn labels(&mut self, service: &ServiceName, group: &Group<'_>) -> Labels {
        let mut labels = Labels::default();
        for (at, key, text) in group.labels.iter().copied().filter(|(_, _, text)| !text.is_empty()) {
            let label = || name::Label::new(text).map_err(|error| error.to_string());
            let taken = match key {
                "zone" => label().map(|label| labels.zone = Some(label)),
                "region" => label().map(|label| labels.region = Some(label)),
                "group" => label().map(|label| labels.group = Some(label)),
                "weight" => weight(text).map(|weight| labels.weight = Some(weight)),
                _ => {
                    labels.metadata.insert(key.to_owned(), text.to_owned());
                    Ok(())
                }
            };
            if let Err(message) = taken {
                // Where `select` names a group or a zone, the targets are not taken for it.
                let reason = format!("label `{key}`: {message}; it is kept as metadata only");
                self.rejects.add_unread(at, reason, Unread::of_service(service.clone()));
                labels.metadata.insert(key.to_owned(), text.to_owned());
                labels.unread.extend(["zone", "region", "group", "weight"].iter().filter(|one| **one == key));
            }
        }
        labels
    }
}

/// Why a target is left out.
enum Wanting {
    /// It cannot be read.
    Unread(String),
    /// It is in the service already.
    Repeated(String),
}

fn endpoint(target: View<'_>, seen: &mut HashMap<Endpoint, Position>) -> Result<Endpoint, Wanting> {
    let text = target.text().ok_or_else(|| {
        Wanting::Unread(format!("it wants an address and a port, found {}", target.shown()))
    })?;
    let endpoint: Endpoint = text
        .parse()
        .map_err(|error: roster_haproxy::address::InvalidAddress| Wanting::Unread(error.to_string()))?;
    match seen.entry(endpoint) {
        Entry::Vacant(entry) => {
            entry.insert(target.at());
            Ok(endpoint)
        }
        Entry::Occupied(first) => {
            let first = first.get();
            Err(Wanting::Repeated(format!("{endpoint} is in this service already, at {first}; list it once")))
        }
    }
}

impl Labels {
    /// The instance at an address. What of it cannot be read is as it was `known` before.
    fn instance(&self, endpoint: Endpoint, known: &[Instance]) -> Instance {
        let mut instance = Instance {
            zone: self.zone.clone(),
            region: self.region.clone(),
            group: self.group.clone(),
            weight: self.weight,
            metadata: self.metadata.clone().into(),
            ..Instance::at(endpoint)
        };
        let before = || known.iter().find(|before| before.endpoint == endpoint);
        if let Some(before) = (!self.unread.is_empty()).then(before).flatten() {
            for field in &self.unread {
                match *field {
                    "zone" => instance.zone.clone_from(&before.zone),
                    "region" => instance.region.clone_from(&before.region),
                    "group" => instance.group.clone_from(&before.group),
                    _ => instance.weight = before.weight,
                }
            }
        }
        instance
    }
}
