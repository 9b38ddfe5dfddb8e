//! From rules and services to exposures, and from a service's instances to those that an exposure wants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use thiserror::Error;

use crate::exposure::{
    Exposure, Layout, Names, OtherZones, Policy, Role, RoutePattern, RouteTo, Rule, Selector, Services,
};
use crate::guard::Wish;
use crate::haproxy::keywords::{HostName, InvalidKeyword};
use crate::instance::{Definition, Health, Instance, Lifecycle};
use crate::name::{BackendName, InvalidName, Label, ServiceKey, TargetName};
use crate::pattern::{NoValue, Pattern, Place};
use crate::render::{InvalidValue, PathPrefix, RouteKey};
use crate::slots::{NameScheme, NoName, Shape};
use crate::weight::Weight;

/// Why a service cannot be exposed. It never holds up another one.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum Unexposed {
    /// A placeholder of the backend's name has no value.
    #[error("service {service} is left out: {why}")]
    NoValue {
        /// The service.
        service: ServiceKey,
        /// Which, and in what pattern.
        why: NoValue,
    },
    /// The backend's name would be none.
    #[error("service {service} is left out: {why}; change backend.name or the service's name")]
    BackendName {
        /// The service.
        service: ServiceKey,
        /// What is wrong with it.
        why: InvalidName,
    },
    /// The slots' names would be none.
    #[error("service {service} is left out: {why}; change slots.names")]
    SlotNames {
        /// The service.
        service: ServiceKey,
        /// What is wrong with them.
        why: NoName,
    },
    /// A route's host or path would be none.
    #[error("service {service} is left out: {why}; change backend.route or the service's name")]
    Route {
        /// The service.
        service: ServiceKey,
        /// What is wrong with it.
        why: InvalidRoute,
    },
    /// Two services on one backend.
    #[error(
        "service {service} is left out: backend {backend} already takes {other}; give each its own backend.name"
    )]
    SameBackend {
        /// The service.
        service: ServiceKey,
        /// The backend.
        backend: BackendName,
        /// The one that has it.
        other: ServiceKey,
    },
}

/// What makes no route.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum InvalidRoute {
    /// Not a host.
    #[error(transparent)]
    Host(#[from] InvalidKeyword),
    /// Not a path.
    #[error(transparent)]
    Path(#[from] InvalidValue),
    /// Neither host nor path.
    #[error("a route has neither a host nor a path")]
    Empty,
}

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

/// What a target is to be given.
#[derive(Debug, Default)]
pub struct Exposed {
    /// Each backend's exposure.
    pub exposures: BTreeMap<BackendName, Exposure>,
    /// What was left out.
    pub unexposed: Vec<Unexposed>,
}

/// Expands the rules for one target. The first rule that names a service decides over it; later ones that lead to
/// other backends add to it.
pub fn expose(rules: &[Rule], target: &TargetName, services: &[ServiceView<'_>]) -> Exposed {
    let mut exposed = Exposed::default();
    for rule in rules.iter().filter(|rule| rule.targets.contains(target)) {
        for service in services.iter().filter(|service| rule.services.has(service.key)) {
            let made = primary(rule, service).and_then(|first| {
                Ok(std::iter::once(first).chain(fallback(rule, service)?).collect::<Vec<_>>())
            });
            match made {
                Ok(exposures) => exposures.into_iter().for_each(|exposure| exposed.add(exposure)),
                Err(why) => exposed.unexposed.push(why),
            }
        }
    }
    exposed
}

impl Exposed {
    fn add(&mut self, exposure: Exposure) {
        match self.exposures.get(&exposure.backend) {
            Some(taken) => self.unexposed.push(Unexposed::SameBackend {
                service: exposure.service,
                backend: exposure.backend,
                other: taken.service.clone(),
            }),
            None => {
                self.exposures.insert(exposure.backend.clone(), exposure);
            }
        }
    }
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

fn primary(rule: &Rule, service: &ServiceView<'_>) -> Result<Exposure, Unexposed> {
    let select = rule.select.clone();
    make(rule, service, &rule.backend, &rule.slots.names, Role::Primary, select)
}

fn fallback(rule: &Rule, service: &ServiceView<'_>) -> Result<Option<Exposure>, Unexposed> {
    let Some(fallback) = &rule.fallback else { return Ok(None) };
    let select =
        if fallback.all { Selector::default() } else { Selector { inverted: true, ..rule.select.clone() } };
    let mut exposure = make(rule, service, &fallback.backend, &fallback.names, Role::Fallback, select)?;
    // Clients come in by the first backend's frontend; a second one could not listen at the same place.
    exposure.layout = exposure.layout.map(|layout| {
        Arc::new(Layout { binds: Vec::new(), routes: Vec::new(), ..Arc::unwrap_or_clone(layout) })
    });
    exposure.routes = Vec::new();
    Ok(Some(exposure))
}

fn make(
    rule: &Rule,
    service: &ServiceView<'_>,
    backend: &Pattern,
    names: &NameScheme,
    role: Role,
    select: Selector,
) -> Result<Exposure, Unexposed> {
    let key = service.key.clone();
    let value = |place| value(service, place);
    let backend = backend.fill(value).map_err(|why| Unexposed::NoValue { service: key.clone(), why })?;
    let backend =
        BackendName::new(&backend).map_err(|why| Unexposed::BackendName { service: key.clone(), why })?;
    let names = match names {
        NameScheme::Address => Names::Address,
        NameScheme::Slot(pattern) => Names::Slot(
            pattern.names(value).map_err(|why| Unexposed::SlotNames { service: key.clone(), why })?,
        ),
    };
    let routes =
        rule.layout.routes.iter().map(|route| route_to(route, &key, value)).collect::<Result<_, _>>()?;
    let slots = rule.slots.clone();
    Ok(Exposure {
        service: key,
        backend,
        own: rule.own,
        claim: rule.claim,
        role,
        names,
        slots,
        select,
        policy: rule.policy.clone(),
        layout: Some(layout(rule, service)),
        routes,
    })
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

fn route_to(
    route: &RoutePattern,
    service: &ServiceKey,
    value: impl Fn(Place) -> Option<String>,
) -> Result<RouteTo, Unexposed> {
    let fill = |pattern: &Option<Pattern>| {
        let filled = pattern.as_ref().map(|pattern| pattern.fill(&value)).transpose();
        filled.map_err(|why| Unexposed::NoValue { service: service.clone(), why })
    };
    let (host, path) = (fill(&route.host)?, fill(&route.path)?);
    let of = route_key(host.as_deref(), path.as_deref());
    let of = of.map_err(|why| Unexposed::Route { service: service.clone(), why })?;
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

/// The instances that an exposure wants: those it selects that are meant to stay. Those that the registry finds
/// unhealthy get no traffic, unless all of them are: then its checks are more likely wrong than the whole fleet.
pub fn wishes<'a>(exposure: &Exposure, instances: &[&'a Instance]) -> Vec<Wish<'a>> {
    let staying = instances.iter().copied().filter(|one| one.lifecycle == Lifecycle::InService);
    let selected: Vec<&'a Instance> = staying.filter(|one| exposure.select.takes(one)).collect();
    let panic = selected.iter().all(|one| one.health == Health::Failing);
    let wish = |instance: &'a Instance| {
        let mut wish = Wish::for_instance(instance, shape(&exposure.policy, instance));
        wish.well = panic || instance.health != Health::Failing;
        wish
    };
    selected.into_iter().map(wish).collect()
}

impl Selector {
    /// Whether it takes the instance.
    pub fn takes(&self, instance: &Instance) -> bool {
        let among = |wanted: &BTreeSet<Label>, has: &Option<Label>| {
            wanted.is_empty() || has.as_ref().is_some_and(|has| wanted.contains(has))
        };
        let metadata = self.metadata.iter().all(|(key, values)| {
            instance.metadata.get(key).is_some_and(|value| values.is_empty() || values.contains(value))
        });
        let fits = among(&self.group, &instance.group)
            && among(&self.zone, &instance.zone)
            && among(&self.region, &instance.region)
            && metadata;
        fits != self.inverted
    }
}

fn is_far(policy: &Policy, instance: &Instance) -> bool {
    let local = policy.zones.as_ref().map(|zones| &zones.local);
    matches!((local, &instance.zone), (Some(local), Some(zone)) if local != zone)
}

fn shape(policy: &Policy, instance: &Instance) -> Shape {
    let others = policy.zones.as_ref().map(|zones| zones.others);
    let others = others.filter(|_| instance.zone_share.is_none());
    let far = others == Some(OtherZones::Backup) && is_far(policy, instance);
    Shape { backup: far || policy.server.backup }
}

/// The weight that an instance should have; none leaves that of its server's line. Where a zone is given, the instance's
/// own share of what crosses it comes first.
pub fn weight(policy: &Policy, instance: &Instance) -> Option<Weight> {
    let between = policy.zones.as_ref().and_then(|zones| match (instance.zone_share, zones.others) {
        (Some(share), _) => Some(share.weight(is_far(policy, instance))),
        (None, OtherZones::Weight(weight)) if is_far(policy, instance) => Some(weight),
        (None, _) => None,
    });
    between.or(instance.weight).or(policy.weight)
}

#[cfg(test)]
mod tests;
