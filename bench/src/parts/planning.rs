//! What deciding costs by itself: no file, no socket, no clock.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use roster_core::agenda::{Agenda, Moment};
use roster_core::applied::Applied;
use roster_core::catalog::Catalog;
use roster_core::exposure::{BringUp, Claim, Own, Policy, Rule, Selector, Services};
use roster_core::instance::{Instance, Snapshot, SourceEvent};
use roster_core::plan::{BackendPlan, Change, ProbeResults};
use roster_core::refusals::Refusals;
use roster_core::slots::SlotScheme;
use roster_haproxy::address::Endpoint;
use roster_haproxy::cli::{AdminState, OpState};
use roster_haproxy::name::{BackendName, ServerName, ServiceName, SourceName, TargetName};
use roster_haproxy::observed::{ObservedBackend, ObservedCheck, ObservedLine, ObservedServer};
use roster_haproxy::weight::{ServerId, Weight};

use crate::Bench;
use crate::fleet::{address, service};
use crate::parts::{machines, rendering};
use crate::report::Row;
use crate::sample::Sample;

/// What the planner is given.
pub(super) struct World {
    source: SourceName,
    target: TargetName,
    rules: Vec<Rule>,
    catalog: Catalog,
    applied: Applied,
    seen: BTreeMap<BackendName, ObservedBackend>,
}

/// How long each kind of planning took, time for time.
#[derive(Default)]
struct Times {
    fill: Vec<Duration>,
    verify: Vec<Duration>,
    change: Vec<Duration>,
}

/// Plans for both sizes.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for services in bench.scale.planning {
        let instances = bench.scale.instances;
        let mut times = Times::default();
        for _ in 0..bench.scale.runs {
            times.measure(services, instances)?;
        }
        let row = |what: &str, times| {
            let what = format!("planning alone, {} instances: {what}", services * instances);
            Row::new(what, Sample::times(times))
        };
        rows.push(row("agenda and plans, all slots to fill", times.fill));
        rows.push(row("agenda and plans, nothing to do", times.verify));
        rows.push(row("agenda and one changed backend's plan", times.change));
    }
    rows.extend(machines::measure(bench)?);
    rows.push(rendering::measure(bench.scale.runs)?);
    Ok(rows)
}

impl Times {
    fn measure(&mut self, services: usize, instances: usize) -> anyhow::Result<()> {
        let mut world = World::new(services, instances)?;
        let begun = Instant::now();
        let agenda = world.agenda();
        let plans = black_box(world.plan_all(&agenda));
        self.fill.push(begun.elapsed());
        world.carry_out(plans);

        let begun = Instant::now();
        let agenda = world.agenda();
        let plans = black_box(world.plan_all(&agenda));
        self.verify.push(begun.elapsed());
        let left: usize = plans.values().map(|plan| plan.operations.len()).sum();
        anyhow::ensure!(left == 0, "{left} operations are left over after all were carried out");

        world.answer(services, instances, true)?;
        let begun = Instant::now();
        let next = world.agenda();
        let changed: Vec<&BackendName> = next.changed(&agenda).collect();
        let plans: Vec<_> = changed.iter().filter_map(|backend| world.plan(&next, backend)).collect();
        self.change.push(begun.elapsed());
        let [plan] = plans.as_slice() else { anyhow::bail!("{} backends changed, not one", plans.len()) };
        anyhow::ensure!(plan.operations.len() == 2, "one more is {} operations", plan.operations.len());
        Ok(())
    }
}

impl World {
    /// Free slots for everybody and one to spare in each backend.
    fn new(services: usize, instances: usize) -> anyhow::Result<Self> {
        let mut world = Self::empty("{service}", (0..services).map(service), instances)?;
        world.answer(services, instances, false)?;
        Ok(world)
    }

    /// The same with these backends, before any source has spoken.
    pub(super) fn empty(
        pattern: &str,
        backends: impl Iterator<Item = String>,
        instances: usize,
    ) -> anyhow::Result<Self> {
        let (source, target): (SourceName, TargetName) = ("fleet".parse()?, "local".parse()?);
        let rule = Rule {
            services: Services::All,
            targets: [target.clone()].into(),
            backend: pattern.parse()?,
            own: Own::Servers,
            claim: Claim::default(),
            slots: SlotScheme::default(),
            select: Selector::default(),
            fallback: None,
            policy: Policy { bring_up: Some(BringUp::Registry), ..Policy::default() },
            layout: std::sync::Arc::default(),
        };
        let catalog = Catalog::new([source.clone()]);
        let mut seen = BTreeMap::new();
        for backend in backends {
            let free = (1..=instances + 1).map(free_slot);
            let servers = free.collect::<anyhow::Result<_>>()?;
            seen.insert(backend.parse()?, ObservedBackend { servers, ..ObservedBackend::default() });
        }
        let applied = Applied::default();
        Ok(Self { source, target, rules: vec![rule], catalog, applied, seen })
    }

    /// The source answers anew; the first service may have one instance more.
    fn answer(&mut self, services: usize, instances: usize, more: bool) -> anyhow::Result<()> {
        let mut all = BTreeMap::new();
        for number in 0..services {
            let count = instances + usize::from(more && number == 0);
            let members = (0..count).map(|low| Ok(Instance::at(address(number, low).to_string().parse()?)));
            let name: ServiceName = service(number).parse()?;
            all.insert(name, members.collect::<anyhow::Result<Vec<Instance>>>()?.into());
        }
        self.hear(Arc::new(Snapshot { services: all, ..Snapshot::default() }));
        Ok(())
    }

    /// Takes in an answer of the source.
    pub(super) fn hear(&mut self, answer: Arc<Snapshot>) {
        self.catalog.accept(&self.source, SourceEvent::Full(answer), Timestamp::UNIX_EPOCH);
    }

    pub(super) fn agenda(&self) -> Agenda {
        Agenda::new(&self.catalog, &self.rules, &self.target, &self.applied, &[], Timestamp::UNIX_EPOCH)
    }

    fn plan(&self, agenda: &Agenda, backend: &BackendName) -> Option<BackendPlan> {
        let moment = Moment {
            seen: self.seen.get(backend)?,
            applied: self.applied.backends.get(backend),
            same_process: true,
            probes: &ProbeResults::new(),
            refusals: Refusals::none(),
            now: Timestamp::UNIX_EPOCH,
        };
        Some(agenda.items.get(backend)?.plan(&moment))
    }

    pub(super) fn plan_all(&self, agenda: &Agenda) -> BTreeMap<BackendName, BackendPlan> {
        let backends = agenda.items.keys();
        backends.filter_map(|backend| Some((backend.clone(), self.plan(agenda, backend)?))).collect()
    }

    /// As a HAProxy would that does what it is told.
    pub(super) fn carry_out(&mut self, plans: BTreeMap<BackendName, BackendPlan>) {
        for (backend, plan) in plans {
            let Some(seen) = self.seen.get_mut(&backend) else { continue };
            for operation in &plan.operations {
                let Some(server) = seen.servers.get_mut(&operation.server) else { continue };
                match &operation.change {
                    Change::Address(to) => (server.ip, server.port) = (Some(to.ip), to.port.get()),
                    Change::State(_) => {
                        (server.op, server.admin) = (OpState::Running, AdminState::from_bits(4));
                    }
                    _ => {}
                }
            }
            self.applied.backends.insert(backend, plan.applied);
        }
    }
}

/// A slot in maintenance at the address that the template gives to all of them.
fn free_slot(number: usize) -> anyhow::Result<(ServerName, ObservedServer)> {
    let parking = Endpoint::new("127.0.0.1", 1)?;
    let id = u32::try_from(number).ok().and_then(ServerId::new);
    let server = ObservedServer {
        id: id.ok_or_else(|| anyhow::anyhow!("{number} is no server's number"))?,
        id_is_forced: false,
        host: None,
        ip: Some(parking.ip),
        port: parking.port.get(),
        op: OpState::Stopped,
        admin: AdminState::from_bits(5),
        weight: Weight::ONE,
        initial_weight: Weight::ONE,
        check: ObservedCheck { configured: true, enabled: true, ..ObservedCheck::default() },
        has_agent: false,
        tls: false,
        line: ObservedLine::default(),
        connections: None,
    };
    Ok((format!("srv{number}").parse()?, server))
}
