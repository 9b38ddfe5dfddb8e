//! The form of Prometheus's `file_sd`: a list of target groups with labels, in JSON or YAML
//! (its documentation: configuration, `file_sd_config`).
//!
//! As there, a group that is not of its form fails the whole file.

use std::collections::{BTreeMap, HashMap};

use roster_config::document::{Field, Position, View, hint};
use roster_core::address::Endpoint;
use roster_core::instance::Instance;
use roster_core::name::{Label, ServiceName};
use roster_core::weight::Weight;

use super::instance::weight;
use super::{Reading, Wrong, short};

type Services = BTreeMap<ServiceName, Vec<Instance>>;

/// Where each target of each service stands.
type Seen = HashMap<ServiceName, HashMap<Endpoint, Position>>;

/// One target group.
struct Group<'d> {
    at: Position,
    targets: Vec<View<'d>>,
    labels: Vec<(Position, &'d str, &'d str)>,
}

/// What the labels of a group say of its instances.
#[derive(Default)]
struct Labels {
    zone: Option<Label>,
    region: Option<Label>,
    group: Option<Label>,
    weight: Option<Weight>,
    metadata: BTreeMap<String, String>,
}

pub(super) fn read(root: View<'_>, reading: &mut Reading<'_>) -> Result<Services, Vec<Wrong>> {
    let Some(items) = root.items() else {
        let found = root.shown();
        let message = format!("the file wants a list of target groups, found {found}; for none write `[]`");
        return Err(vec![(root.at(), message)]);
    };
    let mut wrong = Vec::new();
    let groups: Vec<Group<'_>> =
        items.enumerate().filter_map(|(index, item)| group(index + 1, item, &mut wrong)).collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut services = Services::new();
    let mut seen = Seen::new();
    for group in groups {
        reading.group(group, &mut services, &mut seen);
    }
    Ok(services)
}

/// The group, if it is of its form; what is wrong with it, if not.
fn group<'d>(number: usize, item: View<'d>, wrong: &mut Vec<Wrong>) -> Option<Group<'d>> {
    let mut fault =
        |at: Position, message: String| wrong.push((at, format!("target group {number} {message}")));
    let Some(fields) = item.fields() else {
        fault(item.at(), format!("wants a mapping with `targets` and `labels`, found {}", item.shown()));
        return None;
    };
    let mut targets = None;
    let mut labels = Vec::new();
    for field in fields {
        match field.key {
            "targets" => {
                targets = field.value.items().map(Iterator::collect);
                if targets.is_none() {
                    fault(field.at, format!("wants a list as `targets`, found {}", field.value.shown()));
                    return None;
                }
            }
            "labels" if field.value.is_nothing() => {}
            "labels" => match labels_of(&field) {
                Ok(found) => labels = found,
                Err((at, message)) => fault(at, message),
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
    Some(Group { at: item.at(), targets: targets?, labels })
}

fn labels_of<'d>(field: &Field<'d>) -> Result<Vec<(Position, &'d str, &'d str)>, Wrong> {
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
        let (at, name) = self.name_of(&group);
        let name = match ServiceName::new(name) {
            Ok(name) => name,
            Err(error) => {
                let count = group.targets.len();
                self.rejects.add(at, format!("{error}; the {count} targets of this group are left out"));
                return;
            }
        };
        let labels = self.labels(&group);
        let instances = services.entry(name.clone()).or_default();
        let seen = seen.entry(name.clone()).or_default();
        for target in group.targets {
            match endpoint(target, seen) {
                Ok(endpoint) => instances.push(labels.instance(endpoint)),
                Err(message) => {
                    self.rejects.add(target.at(), format!("target of `{name}`: {message}; it is left out"));
                }
            }
        }
    }

    /// The service of a group: from the configured label, else from `service` or `job`, else the file's own name.
    fn name_of<'n>(&'n self, group: &Group<'n>) -> (Position, &'n str) {
        let of = |wanted: &str| {
            group.labels.iter().find(|(_, key, text)| *key == wanted && !text.is_empty()).copied()
        };
        let label = [self.form.service_label.as_str(), "service", "job"].into_iter().find_map(of);
        label.map_or((group.at, &self.form.service), |(at, _, text)| (at, text))
    }

    /// What does not fit its field stays as metadata, and is reported.
    fn labels(&mut self, group: &Group<'_>) -> Labels {
        let mut labels = Labels::default();
        for (at, key, text) in group.labels.iter().copied().filter(|(_, _, text)| !text.is_empty()) {
            let label = || Label::new(text).map_err(|error| error.to_string());
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
                self.rejects.add(at, format!("label `{key}`: {message}; it is kept as metadata only"));
                labels.metadata.insert(key.to_owned(), text.to_owned());
            }
        }
        labels
    }
}

fn endpoint(target: View<'_>, seen: &mut HashMap<Endpoint, Position>) -> Result<Endpoint, String> {
    let text =
        target.text().ok_or_else(|| format!("it wants an address and a port, found {}", target.shown()))?;
    let endpoint: Endpoint =
        text.parse().map_err(|error: roster_core::address::InvalidAddress| error.to_string())?;
    match seen.insert(endpoint, target.at()) {
        None => Ok(endpoint),
        Some(first) => {
            seen.insert(endpoint, first);
            Err(format!("{endpoint} is in this service already, at {first}; list it once"))
        }
    }
}

impl Labels {
    fn instance(&self, endpoint: Endpoint) -> Instance {
        Instance {
            zone: self.zone.clone(),
            region: self.region.clone(),
            group: self.group.clone(),
            weight: self.weight,
            metadata: self.metadata.clone(),
            ..Instance::at(endpoint)
        }
    }
}
