//! The addresses that HAProxy is to listen on: each new one is tried before HAProxy gets it.
//!
//! Invariants:
//! - An address that cannot be listened on takes no other section along: its `bind` is left out, with the reason, and
//!   tried again after pauses that grow.
//! - What HAProxy listens on already is not tried.
//! - Where Roster cannot know what HAProxy could do (another network, another user), HAProxy's own answer decides.

mod failed;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use jiff::Timestamp;
use roster_config::native::ManagedProcess;
use roster_core::agenda::Agenda;
use roster_core::layout;
use roster_haproxy::name::BackendName;
use roster_haproxy::render::{
    Bind, BindAddress, Families, LeftOut, Port, Rendered, Section, SectionKey, share_ports,
};
use roster_targets::managed::listen::{ListenAddress, Trial, opens_low_ports, shares_network};

pub(super) use failed::Failed;

use super::Own;
use crate::clock;
use crate::events::chain;
use crate::supervise;

/// Addresses to try, each with the words that an operator knows it by.
type Trials = BTreeMap<BindAddress, Trial>;

impl Own {
    /// Takes from the sections the binds that they cannot have.
    pub(super) fn share_ports(&self, sections: &mut [Section], agenda: &Agenda) -> Vec<LeftOut> {
        self.share(sections, agenda, |at| self.unbound.why(at).map(str::to_owned))
    }

    /// Of two sections that want one address it is the shared frontend's, else of the one that listens there already; who
    /// leaves comes last, and is not told of.
    fn share(
        &self,
        sections: &mut [Section],
        agenda: &Agenda,
        unbound: impl Fn(&BindAddress) -> Option<String>,
    ) -> Vec<LeftOut> {
        let is_shared =
            |key: &SectionKey| self.reach.frontends.iter().any(|one| one.section.name.as_str() == key.name());
        let leaves = |key: &SectionKey| {
            let item = BackendName::new(key.name()).ok().and_then(|name| agenda.items.get(&name));
            item.is_some_and(|item| !item.is_wanted())
        };
        let rank = |key: &SectionKey, at: &BindAddress| {
            let written = self.as_inherited(at).unwrap_or_else(|| at.clone());
            match self.book.structure.as_ref() {
                _ if is_shared(key) => 0,
                _ if leaves(key) => 3,
                Some(runs) if runs.listens(key, &written) => 1,
                _ => 2,
            }
        };
        let mut left_out = share_ports(sections, self.reach.user.ports(), rank, unbound, self.holds());
        left_out.retain(|left| match left {
            LeftOut::Bind { section, .. } | LeftOut::Unbound { section, .. } => !leaves(section),
            _ => true,
        });
        left_out
    }

    /// The binds that are wanted and that no other section has, whether or not they can be listened on.
    pub(super) fn wanted_binds(&self, agenda: &Agenda) -> Vec<Bind> {
        let shared = self.reach.frontends.iter().map(|frontend| Section::Frontend(frontend.section.clone()));
        let layouts = agenda.items.keys().filter_map(|backend| Some((backend, self.layouts.get(backend)?)));
        let binding = layouts.filter(|(_, layout)| !layout.binds.is_empty());
        let own = binding.flat_map(|(backend, layout)| layout::sections(backend, layout, Vec::new()));
        let mut all: Vec<Section> = shared.chain(own).collect();
        self.share(&mut all, agenda, |_| None);
        all.iter().flat_map(Section::binds).cloned().collect()
    }

    /// Tries what HAProxy would newly listen on. Answers what of the operator's own text makes HAProxy fail.
    pub(super) async fn try_ports(&mut self, agenda: &Agenda, now: Timestamp) -> Vec<String> {
        let Some(network) = self.network() else { return Vec::new() };
        let holds = self.holds();
        let wanted = if holds { Vec::new() } else { self.wanted_binds(agenda) };
        let wanted = wanted.iter().filter(|bind| self.unbound.is_to_be_tried(&bind.at, now));
        let listened = self.listened();
        let ours: Trials =
            wanted.filter(|bind| !listened.contains(&bind.at)).filter_map(|bind| self.trial(bind)).collect();
        let ports = self.reach.user.ports();
        let new = ports.iter().filter(|port| !listened.contains(&port.at));
        let theirs: Trials = new.filter_map(|port| self.trial_of(port)).collect();
        for (at, outcome) in tried(ours, network).await {
            self.unbound.tried(at, outcome, clock::now());
        }
        tried(theirs, network).await.into_iter().filter_map(|(_, outcome)| outcome).collect()
    }

    /// Tries again what could not be listened on, where that is due; everything, where HAProxy does not run.
    pub(super) async fn retry_ports(&mut self, agenda: &Agenda, now: Timestamp) {
        let wanted = self.wanted_binds(agenda);
        self.unbound.retain(|at| wanted.iter().any(|bind| bind.at == *at));
        let is_down = self.unbound.has_haproxy_ended() && !self.is_up() && !self.holds();
        let Some(network) = self.network() else {
            // Where nothing can be tried HAProxy's own word counts, and its next one.
            self.unbound.let_all_pass();
            self.doubtful = true;
            return;
        };
        let due = wanted.iter().filter(|bind| is_down || self.unbound.is_due(&bind.at, now));
        let trials: Trials = due.filter_map(|bind| self.trial(bind)).collect();
        for (at, outcome) in tried(trials, network).await {
            self.doubtful |= self.unbound.tried(at, outcome, clock::now());
        }
    }

    /// Leaves out the binds that HAProxy itself complained of though they had passed. Answers whether there were any.
    pub(super) fn note_unbound(&mut self, rendered: &Rendered, said: &str, now: Timestamp) {
        let complaints = failed::complaints(said, &self.reach.config);
        for (line, why) in complaints {
            let Some((_, at)) = rendered.bind_at(line) else { continue };
            self.unbound.refused(at, format!("HAProxy says: {why}"), now);
        }
    }

    /// What HAProxy listens on now.
    fn listened(&self) -> Vec<BindAddress> {
        let runs = self.book.structure.as_ref().filter(|_| self.is_up());
        runs.map(|runs| runs.ports().into_iter().map(|port| port.at).collect()).unwrap_or_default()
    }

    /// Whether HAProxy may open ports that Roster may not; none where its ports are not those of this machine, or where
    /// a trial shows nothing.
    fn network(&self) -> Option<bool> {
        let running = self.steward.running();
        match &self.reach.process {
            ManagedProcess::Own { .. } => {
                let master = running.master.map(|master| master.pid);
                let is_here = master.is_none_or(shares_network);
                is_here.then(|| opens_low_ports(&self.reach.haproxy, master))
            }
            ManagedProcess::External { .. } => {
                self.book.worker.or(running.worker).is_some_and(shares_network).then_some(true)
            }
        }
    }

    fn trial(&self, bind: &Bind) -> Option<(BindAddress, Trial)> {
        let families = if bind.both_families { Families::Both } else { Families::System };
        self.trial_of(&Port { of: None, at: bind.at.clone(), families })
    }

    fn trial_of(&self, port: &Port) -> Option<(BindAddress, Trial)> {
        let address = match &port.at {
            BindAddress::Ip(ip, number) => ListenAddress::tcp(SocketAddr::new(*ip, number.get()))?,
            BindAddress::Unix(path) if self.reach.user.names_unix_paths() => {
                ListenAddress::unix(path.as_str().as_ref()).ok()?
            }
            BindAddress::Unix(_) | BindAddress::Inherited(_) => return None,
        };
        let v6only = match port.families {
            Families::System => None,
            Families::Both => Some(false),
            Families::V6Only => Some(true),
        };
        let shares = self.reach.user.shares_ports() && !self.holds();
        Some((port.at.clone(), Trial { address, v6only, shares }))
    }
}

/// Runs the trials, on a thread that may wait. Answers why each failed, where it did.
async fn tried(trials: Trials, low_ports: bool) -> Vec<(BindAddress, Option<String>)> {
    if trials.is_empty() {
        return Vec::new();
    }
    let run = move |(at, trial): (BindAddress, Trial)| {
        let failed = trial.run(low_ports).err();
        (at, failed.map(|error| chain(&error)))
    };
    supervise::blocking(move || trials.into_iter().map(run).collect()).await
}
