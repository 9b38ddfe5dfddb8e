//! Backends in HAProxy's file that are Roster's own though no source tells of their service: it went while no Roster ran,
//! and nothing was kept of it. Their servers are taken out as if the service had stayed, with nobody in it.
//!
//! A backend is Roster's own by its [`Mark`]; where the rule says so ([`Claim::Named`]) also by its name, if all of its
//! servers have names of slots.

use std::collections::BTreeMap;

use roster_haproxy::dataplane::{FileView, Mark, SectionKind};
use roster_haproxy::name::{BackendName, ServerName, ServiceKey, TargetName};

use crate::catalog::Catalog;
use crate::expose::{Held, ServiceView, offers};
use crate::exposure::{Claim, Exposure, Names, Rule, Services};
use crate::fleet;
use crate::instance::Definition;
use crate::pattern::Place;

/// A backend of the file, as far as it tells whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// The backend.
    pub backend: BackendName,
    /// That it is Roster's, and for which service.
    pub mark: Option<Mark>,
    /// Its servers; none where not all of them are lines with a name that Roster could have given.
    pub servers: Vec<ServerName>,
}

/// The backends of a file that always count.
pub fn found(file: &FileView<'_>) -> Vec<Found> {
    let backends = file.backends.iter().filter(|backend| {
        let section = file.sections.get(backend.section);
        section.is_some_and(|section| section.kind == SectionKind::Backend && !section.conditional)
    });
    let found = backends.filter_map(|view| {
        let servers: Option<Vec<ServerName>> =
            view.servers.iter().map(|server| ServerName::new(&server.name).ok()).collect();
        let servers = servers.filter(|_| view.templates.is_empty()).unwrap_or_default();
        Some(Found { backend: BackendName::new(&view.name).ok()?, mark: view.mark.clone(), servers })
    });
    found.collect()
}

/// The exposures of those whose service no source knows. A source that has said nothing since Roster runs may yet know it.
pub fn vanished<'f>(
    found: impl IntoIterator<Item = &'f Found>,
    catalog: &Catalog,
    rules: &[Rule],
    target: &TargetName,
) -> Vec<Exposure> {
    let heard = |service: &ServiceKey| catalog.heard(&service.source).is_some();
    let vanished = found.into_iter().filter_map(|found| {
        let candidates = match &found.mark {
            Some(mark) => vec![(mark.service.clone(), fleet::definition(&mark.service.service))],
            None => rules
                .iter()
                .filter(|rule| rule.claim == Claim::Named && rule.targets.contains(target))
                .filter_map(|rule| named(rule, &found.backend))
                .collect(),
        };
        candidates.into_iter().filter(|(service, _)| heard(service)).find_map(|(service, definition)| {
            let exposure = exposure(rules, target, &service, definition.as_ref(), &found.backend)?;
            (found.mark.is_some() || has_slots_only(found, &exposure)).then_some(exposure)
        })
    });
    vanished.collect()
}

/// The service that a backend of this name could be for.
fn named(rule: &Rule, backend: &BackendName) -> Option<(ServiceKey, Option<Definition>)> {
    let Services::Each(source) = &rule.services else { return None };
    let read: BTreeMap<Place, String> = rule.backend.read(backend.as_str())?;
    let definition = Definition {
        name: read.get(&Place::Service)?.parse().ok()?,
        port: read.get(&Place::Port).and_then(|port| port.parse().ok()),
        region: read.get(&Place::Region).and_then(|region| region.parse().ok()),
        empty_since: None,
    };
    let service = fleet::key(&definition).ok()?;
    Some((ServiceKey { source: source.clone(), service }, Some(definition)))
}

/// How the rules expose a service without instances on this very backend, without what would want a reload.
fn exposure(
    rules: &[Rule],
    target: &TargetName,
    key: &ServiceKey,
    definition: Option<&Definition>,
    backend: &BackendName,
) -> Option<Exposure> {
    let service = ServiceView { key, instances: &[], definition };
    let (offers, _) = offers(rules, target, &[service], &Held::default());
    let exposure = offers.into_iter().map(|offer| offer.exposure).find(|made| made.backend == *backend)?;
    Some(Exposure { layout: None, routes: Vec::new(), ..exposure })
}

fn has_slots_only(found: &Found, exposure: &Exposure) -> bool {
    let Names::Slot(names) = &exposure.names else { return false };
    !found.servers.is_empty() && found.servers.iter().all(|server| names.slot(server).is_some())
}

#[cfg(test)]
mod tests;
