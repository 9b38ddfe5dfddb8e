//! From rules and services to offers: which backend a service is to have, and how.
//!
//! A name that cannot be made is no removal: a service that has servers in a backend keeps that backend's name.

mod unexposed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use roster_haproxy::keywords::HostName;
use roster_haproxy::name::{BackendName, InstanceId, ServiceKey, TargetName};
use roster_haproxy::render::{PathPrefix, RouteKey};

pub use self::unexposed::{InvalidRoute, Unexposed};
use crate::applied::{Applied, AppliedBackend};
use crate::exposure::{Exposure, Layout, Names, Role, RoutePattern, RouteTo, Rule, Selector, Services};
use crate::instance::{Definition, Instance};
use crate::pattern::{Pattern, Place};
use crate::slots::NameScheme;

/// A service and the instances that its source reports.
#[derive(Clone, Copy, Debug)]
pub struct ServiceView<'a> {
    /// The service.
    pub key: &'a ServiceKey,
    /// Its instances.
    pub instances: &'a [Instance],
    /// What its source says of the service itself.
    pub definition: Option<&'a Definition>,
}

/// A rule's offer: this service on this backend.
#[derive(Clone, Debug)]
pub struct Offer {
    /// How.
    pub exposure: Exposure,
    /// Why the backend keeps its name though the rule makes none, or parts of the exposure are as they were.
    pub kept: Option<Unexposed>,
    /// The instances that do not belong to this backend, and the backend whose name each of them makes.
    pub others: BTreeMap<InstanceId, BackendName>,
}

/// The backends that services have servers in.
#[derive(Debug, Default)]
pub struct Held<'a> {
    by_service: BTreeMap<(&'a ServiceKey, Role), Vec<(&'a BackendName, &'a AppliedBackend)>>,
}

/// One of the backends that a rule makes of a service.
struct Part<'r> {
    role: Role,
    pattern: &'r Pattern,
    names: &'r NameScheme,
    select: Selector,
}

impl<'a> Held<'a> {
    /// Those that a record tells of.
    pub fn of(applied: &'a Applied) -> Self {
        let mut held = Self::default();
        for (backend, record) in applied.backends.iter().filter(|(_, record)| !record.is_idle()) {
            let key = (record.service(), record.role());
            held.by_service.entry(key).or_default().push((backend, record));
        }
        held
    }

    fn backends(&self, service: &'a ServiceKey, role: Role) -> &[(&'a BackendName, &'a AppliedBackend)] {
        self.by_service.get(&(service, role)).map_or(&[], Vec::as_slice)
    }

    /// The backend that a service has by a pattern; where the pattern was another one, the one that it has at all.
    fn place(
        &self,
        service: &'a ServiceKey,
        part: &Part<'_>,
    ) -> Option<(&'a BackendName, &'a AppliedBackend)> {
        let all = self.backends(service, part.role);
        let by_pattern =
            all.iter().find(|(_, record)| record.exposure.pattern.as_ref() == Some(part.pattern));
        by_pattern.or(all.first()).copied()
    }
}

/// Expands the rules for one target. The first rule that names a service decides over it; later ones that lead to
/// other backends add to it.
pub fn offers<'a>(
    rules: &[Rule],
    target: &TargetName,
    services: &[ServiceView<'a>],
    held: &Held<'a>,
) -> (Vec<Offer>, Vec<Unexposed>) {
    let (mut offers, mut unexposed) = (Vec::new(), Vec::new());
    for rule in rules.iter().filter(|rule| rule.targets.contains(target)) {
        for service in services.iter().filter(|service| rule.services.has(service.key)) {
            for part in parts(rule) {
                match offer(rule, service, &part, held) {
                    Ok(offer) => offers.push(offer),
                    Err(why) => {
                        unexposed.push(why);
                        // Without the first backend there is no second one, unless it has servers.
                        if held.backends(service.key, Role::Fallback).is_empty() {
                            break;
                        }
                    }
                }
            }
        }
    }
    (offers, unexposed)
}

/// How the rules expose a service that no answer has any more, on the backend that it had.
pub fn on_backend(
    rules: &[Rule],
    target: &TargetName,
    service: &ServiceView<'_>,
    role: Role,
    backend: &BackendName,
    before: Option<&Exposure>,
) -> Option<Exposure> {
    let of_target = rules.iter().filter(|rule| rule.targets.contains(target));
    let of_service = of_target.filter(|rule| rule.services.has(service.key));
    let parts = of_service.flat_map(|rule| parts(rule).map(move |part| (rule, part)));
    let known = before.and_then(|before| before.pattern.as_ref());
    let makes = |part: &Part<'_>| match known {
        Some(pattern) => pattern == part.pattern,
        None => part.pattern.could_make(backend.as_str()),
    };
    let mut fitting = parts.filter(|(_, part)| part.role == role && makes(part));
    let (rule, part) = fitting.next()?;
    let (exposure, _) = exposure(rule, service, &part, backend.clone(), before).ok()?;
    Some(match before {
        // Only the source can say what they were made of.
        Some(Exposure { names, routes, .. }) => {
            Exposure { names: names.clone(), routes: routes.clone(), ..exposure }
        }
        None => exposure,
    })
}

impl Services {
    /// Whether a rule for these is about the service.
    pub fn has(&self, key: &ServiceKey) -> bool {
        match self {
            Services::All => true,
            Services::Each(source) => *source == key.source,
            Services::Listed(keys) => keys.contains(key),
        }
    }
}

fn parts(rule: &Rule) -> impl Iterator<Item = Part<'_>> {
    let primary = Part {
        role: Role::Primary,
        pattern: &rule.backend,
        names: &rule.slots.names,
        select: rule.select.clone(),
    };
    let fallback = rule.fallback.as_ref().map(|fallback| {
        let select = if fallback.all {
            Selector::default()
        } else {
            Selector { inverted: true, ..rule.select.clone() }
        };
        Part { role: Role::Fallback, pattern: &fallback.backend, names: &fallback.names, select }
    });
    std::iter::once(primary).chain(fallback)
}

fn offer<'a>(
    rule: &Rule,
    service: &ServiceView<'a>,
    part: &Part<'_>,
    held: &Held<'a>,
) -> Result<Offer, Unexposed> {
    match name(service, part.pattern) {
        Ok(backend) => {
            let before = held.backends(service.key, part.role).iter().find(|(held, _)| **held == backend);
            let before = before.map(|(_, record)| &*record.exposure);
            let (exposure, kept) = exposure(rule, service, part, backend, before)?;
            Ok(Offer { exposure, kept, others: BTreeMap::new() })
        }
        Err(why) => {
            let Some((backend, record)) = held.place(service.key, part) else { return Err(why) };
            let (mut exposure, _) = exposure(rule, service, part, backend.clone(), Some(&record.exposure))?;
            // Another rule gave it that name.
            exposure.pattern.clone_from(&record.exposure.pattern);
            Ok(Offer { exposure, kept: Some(why), others: others(service, part.pattern, backend, record) })
        }
    }
}

/// The instances that make another backend's name and have no server in this one.
fn others(
    service: &ServiceView<'_>,
    pattern: &Pattern,
    backend: &BackendName,
    record: &AppliedBackend,
) -> BTreeMap<InstanceId, BackendName> {
    let servers = record.servers.values().filter(|server| server.is_held());
    let there: BTreeSet<&InstanceId> = servers.filter_map(|server| server.instance.as_ref()).collect();
    let elsewhere = |one: &Instance| {
        let alone = ServiceView { instances: std::slice::from_ref(one), ..*service };
        let makes = name(&alone, pattern).ok().filter(|makes| makes != backend)?;
        (!there.contains(&one.id)).then(|| (one.id.clone(), makes))
    };
    service.instances.iter().filter_map(elsewhere).collect()
}

fn name(service: &ServiceView<'_>, pattern: &Pattern) -> Result<BackendName, Unexposed> {
    let made = pattern.fill(|place| value(service, place));
    let made = made.map_err(|why| Unexposed::NoValue { service: service.key.clone(), why })?;
    BackendName::new(&made).map_err(|why| Unexposed::BackendName { service: service.key.clone(), why })
}

/// The exposure on a backend. What of it the service makes no value for is as it was before, if it was; that is answered too.
fn exposure(
    rule: &Rule,
    service: &ServiceView<'_>,
    part: &Part<'_>,
    backend: BackendName,
    before: Option<&Exposure>,
) -> Result<(Exposure, Option<Unexposed>), Unexposed> {
    let mut kept = None;
    let names = match (slot_names(service, part.names), before) {
        (Ok(names), _) => names,
        (Err(error), Some(before)) => {
            kept = Some(error);
            before.names.clone()
        }
        (Err(error), None) => return Err(error),
    };
    // Clients come in by the first backend's frontend; a second one could not listen at the same place.
    let is_front = part.role == Role::Primary;
    let routes = match (routes(rule, service), before) {
        _ if !is_front => Vec::new(),
        (Ok(routes), _) => routes,
        (Err(error), Some(before)) => {
            kept = kept.or(Some(error));
            before.routes.clone()
        }
        (Err(error), None) => return Err(error),
    };
    let mut layout = layout(rule, service);
    if !is_front {
        layout = Arc::new(Layout { binds: Vec::new(), routes: Vec::new(), ..Arc::unwrap_or_clone(layout) });
    }
    let exposure = Exposure {
        service: service.key.clone(),
        backend,
        pattern: Some(part.pattern.clone()),
        own: rule.own,
        claim: rule.claim,
        role: part.role,
        names,
        slots: rule.slots.clone(),
        select: part.select.clone(),
        policy: rule.policy.clone(),
        layout: Some(layout),
        routes,
    };
    Ok((exposure, kept))
}

fn slot_names(service: &ServiceView<'_>, names: &NameScheme) -> Result<Names, Unexposed> {
    match names {
        NameScheme::Address => Ok(Names::Address),
        NameScheme::Slot(pattern) => {
            let names = pattern.names(|place| value(service, place));
            let names = names.map_err(|why| Unexposed::SlotNames { service: service.key.clone(), why })?;
            Ok(Names::Slot(names))
        }
    }
}

/// The rule's layout, with what it has for this very service.
fn layout(rule: &Rule, service: &ServiceView<'_>) -> Arc<Layout> {
    let name = value(service, Place::Service);
    let Some(own) = name.and_then(|name| rule.layout.options_of.get(&name)) else {
        return rule.layout.clone();
    };
    let mut layout = Layout::clone(&rule.layout);
    layout.options_of.clear();
    layout.options.extend(own.iter().map(|(field, value)| (field.clone(), value.clone())));
    Arc::new(layout)
}

fn routes(rule: &Rule, service: &ServiceView<'_>) -> Result<Vec<RouteTo>, Unexposed> {
    rule.layout.routes.iter().map(|route| route_to(route, service)).collect()
}

fn route_to(route: &RoutePattern, service: &ServiceView<'_>) -> Result<RouteTo, Unexposed> {
    let fill = |pattern: &Option<Pattern>| {
        let filled = pattern.as_ref().map(|pattern| pattern.fill(|place| value(service, place))).transpose();
        filled.map_err(|why| Unexposed::NoValue { service: service.key.clone(), why })
    };
    let (host, path) = (fill(&route.host)?, fill(&route.path)?);
    let of = route_key(host.as_deref(), path.as_deref());
    let of = of.map_err(|why| Unexposed::Route { service: service.key.clone(), why })?;
    Ok(RouteTo { frontend: route.frontend.clone(), of })
}

/// The route for a host, a path, or both.
pub fn route_key(host: Option<&str>, path: Option<&str>) -> Result<RouteKey, InvalidRoute> {
    let host = host.map(HostName::new).transpose()?;
    let path = path.map(PathPrefix::new).transpose()?;
    match (host, path) {
        (Some(host), Some(path)) => Ok(RouteKey::HostAndPath(host, path)),
        (Some(host), None) => Ok(RouteKey::Host(host)),
        (None, Some(path)) => Ok(RouteKey::Path(path)),
        (None, None) => Err(InvalidRoute::Empty),
    }
}

/// A placeholder's value for a service: what is said of the service itself, else what all its instances agree on.
fn value(service: &ServiceView<'_>, place: Place) -> Option<String> {
    defined(service, place).or_else(|| agreed(service, place))
}

fn defined(service: &ServiceView<'_>, place: Place) -> Option<String> {
    let definition = service.definition?;
    match place {
        Place::Service => Some(definition.name.to_string()),
        Place::Port => definition.port.as_ref().map(ToString::to_string),
        Place::Region => definition.region.as_ref().map(ToString::to_string),
        _ => None,
    }
}

fn agreed(service: &ServiceView<'_>, place: Place) -> Option<String> {
    let agreed = |part: fn(&Instance) -> Option<String>| {
        let mut parts: BTreeSet<_> = service.instances.iter().map(part).collect();
        parts.pop_first().flatten().filter(|_| parts.is_empty())
    };
    match place {
        Place::Service => Some(service.key.service.to_string()),
        Place::Source => Some(service.key.source.to_string()),
        Place::Port => agreed(|one| Some(one.endpoint.port.to_string())),
        Place::Region => agreed(|one| one.region.as_ref().map(ToString::to_string)),
        Place::Zone => agreed(|one| one.zone.as_ref().map(ToString::to_string)),
        Place::Group => agreed(|one| one.group.as_ref().map(ToString::to_string)),
        Place::Slot | Place::Address => None,
    }
}

#[cfg(test)]
mod tests;
