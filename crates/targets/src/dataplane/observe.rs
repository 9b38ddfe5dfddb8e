//! What HAProxy holds, put together from what its file says and what the API shows of the running process.
//!
//! The process has the word on addresses and states. Weights and checks are not shown: there the file stands for it, which
//! is true as long as nobody but the API changes them; for servers without a line, what they were told last.

use std::collections::BTreeMap;

use roster_core::dataplane::{BackendView, ServerView};
use roster_core::haproxy::{AdminState, OpState, Version};
use roster_core::name::ServerName;
use roster_core::observed::{BackendLimits, ObservedBackend, ObservedCheck, ObservedServer};
use roster_core::weight::{ServerId, Weight};

use super::client::{AdminState as ShownState, OperationalState, RuntimeServer};

/// `srv_admin_state`: forced maintenance, and forced drain (management manual, `show servers state`).
const MAINT: u8 = 1;
const DRAIN: u8 = 8;

/// A backend as it runs. Servers that only the file has are left out: they come with a reload. `adds` says whether the API
/// can add servers live where no `default-server` applies.
pub(super) fn backend(
    view: &BackendView<'_>,
    shown: &[RuntimeServer],
    version: Version,
    adds: bool,
    told: impl Fn(&ServerName) -> Option<Weight>,
) -> ObservedBackend {
    let by_name: BTreeMap<&str, &ServerView<'_>> =
        view.servers.iter().map(|server| (server.name.as_ref(), server)).collect();
    let servers = shown.iter().enumerate().filter_map(|(place, server)| {
        let name = ServerName::new(&server.name).ok()?;
        let line = by_name.get(server.name.as_str()).copied();
        let mut observed = observed(server, line, place)?;
        if line.is_none() {
            observed.weight = told(&name).unwrap_or(observed.weight);
        }
        Some((name, observed))
    });
    let dynamic = view.algorithm.is_dynamic();
    let grows = adds && dynamic && !view.default_server;
    let limits = BackendLimits { version, algorithm: view.algorithm.text.clone(), dynamic, grows };
    ObservedBackend { limits, servers: servers.collect() }
}

fn observed(server: &RuntimeServer, line: Option<&ServerView<'_>>, place: usize) -> Option<ObservedServer> {
    let number = u32::try_from(place).ok()?.checked_add(1)?;
    let weight = line.map_or(Weight::ONE, ServerView::start_weight);
    Some(ObservedServer {
        id: line.and_then(|line| line.id).or_else(|| ServerId::new(number))?,
        ip: server.address.parse().ok(),
        port: server.port.unwrap_or(0),
        op: match server.operational_state {
            OperationalState::Up => OpState::Running,
            OperationalState::Stopping => OpState::Stopping,
            OperationalState::Down => OpState::Stopped,
        },
        admin: AdminState::from_bits(match server.admin_state {
            ShownState::Ready => 0,
            ShownState::Drain => DRAIN,
            ShownState::Maint => MAINT,
        }),
        weight,
        initial_weight: weight,
        // The API has no word for a check's outcome: Roster probes what is to come up.
        check: ObservedCheck::default(),
        backup: line.is_some_and(|line| line.backup),
        connections: None,
    })
}
