//! A backend made of values: it does with operations what HAProxy does.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use roster_haproxy::address::Endpoint;
use roster_haproxy::cli::{AdminState, OpState, Refusal};
use roster_haproxy::name::{ServerName, ServiceKey};
use roster_haproxy::observed::{ObservedBackend, ObservedCheck, ObservedLine, ObservedServer, State};
use roster_haproxy::weight::{ServerId, Weight};

use crate::applied::AppliedBackend;
use crate::departure::Grounds;
use crate::exposure::{BringUp, Claim, Drain, Exposure, Guards, Names, Own, Policy, Role, Selector};
use crate::guard::Evidence;
use crate::instance::{Instance, Unread};
use crate::plan::{BackendPlan, Change, Inputs, Operation, ProbeResults, plan_backend};
use crate::refusals::Refusals;
use crate::slots::{NameScheme, SlotScheme};

#[derive(Debug)]
pub(crate) struct Sim {
    pub exposure: Arc<Exposure>,
    pub seen: ObservedBackend,
    pub applied: Option<AppliedBackend>,
    pub same_process: bool,
    pub probes: ProbeResults,
    pub refusals: Refusals,
    pub now: Timestamp,
    pub grounds: Grounds,
    /// Whether the source answers.
    pub current: bool,
    pub unread: Vec<Unread>,
}

pub(crate) fn name(text: &str) -> ServerName {
    text.parse().unwrap()
}

pub(crate) fn endpoint(n: u32) -> Endpoint {
    Endpoint::new(&format!("10.0.{}.{}", n / 250, n % 250 + 1), 8080).unwrap()
}

pub(crate) fn instance(n: u32) -> Instance {
    Instance { id: format!("i-{n:03}").parse().unwrap(), ..Instance::at(endpoint(n)) }
}

pub(crate) fn instances(numbers: impl IntoIterator<Item = u32>) -> Vec<Instance> {
    numbers.into_iter().map(instance).collect()
}

pub(crate) fn slot_names(prefix: &str) -> Names {
    let NameScheme::Slot(pattern) = format!("{prefix}{{slot}}").parse().unwrap() else {
        panic!("no pattern")
    };
    Names::Slot(pattern.names(|_| None).unwrap())
}

pub(crate) fn exposure() -> Exposure {
    let policy = Policy {
        bring_up: Some(BringUp::Registry),
        drain: Drain { cap: Duration::ZERO },
        guard: Guards::OFF,
        ..Policy::default()
    };
    Exposure {
        service: ServiceKey { source: "fleet".parse().unwrap(), service: "web".parse().unwrap() },
        backend: "be".parse().unwrap(),
        pattern: None,
        own: Own::Servers,
        claim: Claim::default(),
        role: Role::Primary,
        names: slot_names("srv"),
        slots: SlotScheme::default(),
        select: Selector::default(),
        policy,
        layout: None,
        routes: Vec::new(),
    }
}

/// A slot as `server-template srv 1-N 127.0.0.1:1 check disabled` makes it.
pub(crate) fn spare(n: u32) -> ObservedServer {
    ObservedServer {
        id: ServerId::new(n).unwrap(),
        id_is_forced: false,
        ip: Some(IpAddr::from([127, 0, 0, 1])),
        port: 1,
        host: None,
        op: OpState::Stopped,
        admin: AdminState::from_bits(5),
        weight: Weight::ONE,
        initial_weight: Weight::ONE,
        check: ObservedCheck { configured: true, enabled: true, ..ObservedCheck::default() },
        has_agent: false,
        tls: false,
        line: ObservedLine::default(),
        connections: Some(0),
    }
}

impl Sim {
    pub(crate) fn with_slots(count: u32) -> Self {
        let mut seen = ObservedBackend::default();
        for n in 1..=count {
            seen.servers.insert(name(&format!("srv{n}")), spare(n));
        }
        Self {
            exposure: Arc::new(exposure()),
            seen,
            applied: None,
            same_process: true,
            probes: ProbeResults::new(),
            refusals: Refusals::default(),
            now: Timestamp::UNIX_EPOCH,
            grounds: Grounds::Answer,
            current: true,
            unread: Vec::new(),
        }
    }

    /// How the backend is exposed, to be changed.
    pub(crate) fn exposure(&mut self) -> &mut Exposure {
        Arc::make_mut(&mut self.exposure)
    }

    pub(crate) fn plan(&self, instances: &[Instance]) -> BackendPlan {
        self.with(instances, plan_backend)
    }

    /// What planning depends on, where the source reports these instances.
    pub(crate) fn with<T>(&self, instances: &[Instance], make: impl FnOnce(&Inputs<'_>) -> T) -> T {
        let reported: Vec<&Instance> = instances.iter().collect();
        let unread: Vec<&Unread> = self.unread.iter().collect();
        let Self { grounds, current, now, .. } = self;
        make(&Inputs {
            exposure: &self.exposure,
            instances: &reported,
            evidence: Evidence {
                grounds,
                answer: *now,
                current: *current,
                reported: &reported,
                unread: &unread,
            },
            seen: &self.seen,
            applied: self.applied.as_ref(),
            same_process: self.same_process,
            probes: &self.probes,
            refusals: &self.refusals,
            now: *now,
        })
    }

    /// Plans, applies and plans again until nothing is left to do at this moment.
    pub(crate) fn settle(&mut self, instances: &[Instance]) -> Vec<Operation> {
        let mut done = Vec::new();
        for _ in 0..10 {
            let plan = self.plan(instances);
            self.carry_out(&plan);
            if plan.operations.is_empty() {
                return done;
            }
            done.extend(plan.operations);
        }
        panic!("does not come to rest: {done:#?}");
    }

    pub(crate) fn carry_out(&mut self, plan: &BackendPlan) {
        for operation in &plan.operations {
            self.apply(operation);
        }
        self.applied = Some(plan.applied.clone());
        self.same_process = true;
    }

    /// Every probe succeeds, and every check passes.
    pub(super) fn come_up(&mut self, plan: &BackendPlan) {
        for order in &plan.probes {
            self.probes.insert((order.backend.clone(), order.server.clone()), order.endpoint);
        }
        for server in self.seen.servers.values_mut().filter(|server| server.state() == State::Drain) {
            server.check.health = 1;
        }
    }

    /// HAProxy refuses this change of a server.
    pub(super) fn refuse(&mut self, plan: &BackendPlan, called: &str, word: &str) {
        let is_it = |op: &&Operation| op.server == name(called) && op.change.word() == word;
        let operation = plan.operations.iter().find(is_it).unwrap();
        self.refusals.refuse(operation, &Refusal::Other("no".to_owned()), self.now);
        self.applied = Some(plan.applied.clone());
    }

    pub(crate) fn pass_time(&mut self, seconds: u64) {
        self.now = crate::later::later(self.now, Duration::from_secs(seconds));
    }

    pub(crate) fn server(&mut self, called: &str) -> &mut ObservedServer {
        self.seen.servers.get_mut(&name(called)).unwrap()
    }

    pub(crate) fn operator(&mut self, called: &str, state: State) {
        set_state(self.server(called), state);
    }

    pub(crate) fn serving(&self) -> Vec<(String, Endpoint)> {
        let serving = self.seen.servers.iter().filter(|(_, s)| s.state() == State::Ready);
        serving.map(|(name, s)| (name.to_string(), s.endpoint().unwrap())).collect()
    }

    /// HAProxy starts again from its file: every slot is as at first, servers that were added are gone.
    pub(crate) fn restart(&mut self) {
        self.seen.servers.retain(|_, s| s.admin.is_config_maint());
        for server in self.seen.servers.values_mut() {
            *server = spare(server.id.get());
        }
        self.same_process = false;
    }

    fn apply(&mut self, operation: &Operation) {
        let servers = &mut self.seen.servers;
        if let Change::Add { endpoint, keywords } = &operation.change {
            let id = keywords.id.expect("Roster gives every server its number");
            assert!(servers.values().all(|s| s.id != id), "id {id} twice");
            assert!(!servers.contains_key(&operation.server), "{} twice", operation.server);
            let weight = keywords.weight.unwrap_or(Weight::ONE);
            let check = ObservedCheck { configured: keywords.check.is_some(), ..ObservedCheck::default() };
            let added = ObservedServer {
                id,
                id_is_forced: true,
                ip: Some(endpoint.ip),
                port: endpoint.port.get(),
                admin: AdminState::from_bits(1),
                weight,
                initial_weight: weight,
                check,
                tls: keywords.tls.is_some(),
                line: ObservedLine {
                    backup: keywords.backup,
                    maxconn: keywords.maxconn,
                    cookie_is_name: keywords.cookie.is_some(),
                },
                ..spare(1)
            };
            servers.insert(operation.server.clone(), added);
            return;
        }
        if operation.change == Change::Delete {
            let gone = servers.remove(&operation.server).unwrap();
            assert_eq!(gone.state(), State::Maint, "only a server in maintenance can be deleted");
            return;
        }
        let server = servers.get_mut(&operation.server).unwrap();
        match &operation.change {
            Change::Address(to) => {
                assert_eq!(server.state(), State::Maint, "{} is moved while it may serve", operation.server);
                (server.ip, server.port) = (Some(to.ip), to.port.get());
            }
            Change::Weight(weight) => server.weight = *weight,
            Change::InitialWeight => server.weight = server.initial_weight,
            Change::State(state) => set_state(server, *state),
            Change::EnableCheck => server.check.enabled = true,
            Change::HealthDown => (server.check.health, server.op) = (0, OpState::Stopped),
            Change::HealthUp => (server.check.health, server.op) = (4, OpState::Running),
            Change::Add { .. } | Change::Delete => {}
        }
    }
}

fn set_state(server: &mut ObservedServer, state: State) {
    let from_file = server.admin.bits() & 4;
    let bits = match state {
        State::Ready => 0,
        State::Drain => 8,
        State::Maint => 1,
    };
    server.admin = AdminState::from_bits(from_file | bits);
    server.op = if state == State::Maint { OpState::Stopped } else { OpState::Running };
}
