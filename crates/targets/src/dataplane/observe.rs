//! What HAProxy holds, put together from what its file says and what the API shows of the running process.
//!
//! The process has the word on addresses and states. Weights and checks are not shown: there the file stands for it, which
//! is true as long as nobody but the API changes them; for servers without a line, what they were told last.

use std::collections::BTreeMap;

use roster_haproxy::cli::{AdminState, OpState};
use roster_haproxy::dataplane::{BackendView, ServerView, host};
use roster_haproxy::name::ServerName;
use roster_haproxy::observed::{BackendLimits, ObservedBackend, ObservedCheck, ObservedLine, ObservedServer};
use roster_haproxy::version::Version;
use roster_haproxy::weight::{ServerId, Weight};

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
        let said = Said::of(by_name.get(server.name.as_str()).copied(), view, &server.name);
        let weight = said.weight.filter(|_| said.has_line).or_else(|| told(&name)).or(said.weight);
        Some((name, observed(server, &said, weight.unwrap_or(Weight::ONE), place)?))
    });
    let dynamic = view.algorithm.is_dynamic();
    let grows = adds && dynamic && !view.default_server;
    let algorithm = view.algorithm.text.clone();
    let limits = BackendLimits { version, algorithm, dynamic, grows, line_weight: None, at_once: false };
    ObservedBackend { limits, servers: servers.collect() }
}

/// What the file says of a server.
#[derive(Clone, Debug, Default)]
struct Said {
    has_line: bool,
    id: Option<ServerId>,
    weight: Option<Weight>,
    disabled: bool,
    backup: bool,
    host: Option<Box<str>>,
}

impl Said {
    fn of(line: Option<&ServerView<'_>>, backend: &BackendView<'_>, name: &str) -> Self {
        if let Some(line) = line {
            return Self {
                has_line: true,
                id: line.id,
                weight: Some(line.start_weight()),
                disabled: line.disabled,
                backup: line.backup,
                host: host(&line.address).map(Into::into),
            };
        }
        let template = backend.template(name);
        template.map_or_else(Self::default, |template| Self {
            weight: Some(template.start_weight),
            disabled: template.disabled,
            backup: template.backup,
            host: host(&template.address).map(Into::into),
            ..Self::default()
        })
    }
}

fn observed(server: &RuntimeServer, said: &Said, weight: Weight, place: usize) -> Option<ObservedServer> {
    let number = u32::try_from(place).ok()?.checked_add(1)?;
    let by_file = if said.disabled { AdminState::CONFIG_MAINT } else { 0 };
    Some(ObservedServer {
        id: said.id.or_else(|| ServerId::new(number))?,
        id_is_forced: said.id.is_some(),
        ip: server.address.parse().ok(),
        port: server.port.unwrap_or(0),
        host: said.host.clone(),
        op: match server.operational_state {
            OperationalState::Up => OpState::Running,
            OperationalState::Stopping => OpState::Stopping,
            OperationalState::Down => OpState::Stopped,
        },
        admin: AdminState::from_bits(match server.admin_state {
            ShownState::Ready => by_file,
            ShownState::Drain => by_file | DRAIN,
            ShownState::Maint => by_file | MAINT,
        }),
        weight,
        initial_weight: said.weight.unwrap_or(weight),
        // The API has no word for a check's outcome: Roster probes what is to come up.
        check: ObservedCheck::default(),
        has_agent: false,
        tls: false,
        line: ObservedLine { backup: said.backup, ..ObservedLine::default() },
        connections: None,
    })
}
