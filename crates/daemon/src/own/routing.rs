//! The frontends that several services share, and which requests they send where.

use std::collections::BTreeSet;

use roster_core::agenda::Agenda;
use roster_core::departure::Grounds;
use roster_haproxy::name::BackendName;
use roster_haproxy::render::{Frontend, Mode, Route, Routing, Section};

use super::Own;

impl Own {
    /// The frontends that the configuration names, each with the routes of all services but those to these
    /// backends.
    pub(super) fn frontends(&self, agenda: &Agenda, unrouted: &BTreeSet<BackendName>) -> Vec<Section> {
        let frontend = |managed: &roster_config::native::ManagedFrontend| {
            let [hosts, paths] = managed.maps.clone();
            let mut routes = routes(agenda, &managed.section);
            routes.retain(|route| !unrouted.contains(&route.to));
            let routing = Routing { hosts, paths, routes };
            let routing = Some(routing).filter(|_| managed.section.mode == Mode::Http);
            Section::Frontend(Frontend { routing, ..managed.section.clone() })
        };
        self.reach.frontends.iter().map(frontend).collect()
    }

    /// Whether another agenda sends requests elsewhere.
    pub(super) fn reroutes(&self, before: &Agenda, after: &Agenda) -> bool {
        let mut frontends = self.reach.frontends.iter().map(|frontend| &frontend.section);
        frontends.any(|frontend| routes(before, frontend) != routes(after, frontend))
    }
}

/// In the order of the backends. None leads to one whose service was removed: its servers only end what they have.
fn routes(agenda: &Agenda, frontend: &Frontend) -> Vec<Route> {
    let of_backend = |(backend, item): (&BackendName, &roster_core::agenda::Item)| {
        let is_removed = item.grounds == Grounds::Removed;
        let its = item.exposure.routes.iter().filter(|route| route.frontend == frontend.name && !is_removed);
        its.map(|route| Route { of: route.of.clone(), to: backend.clone() }).collect::<Vec<_>>()
    };
    agenda.items.iter().flat_map(of_backend).collect()
}
