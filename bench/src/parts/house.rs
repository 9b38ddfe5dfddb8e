//! A filled HAProxy and the Roster that keeps it, for all that is measured among many servers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use roster_testkit::HttpBackend;

use crate::Bench;
use crate::daemon::{CONVERGED, Daemon};
use crate::fleet::{Fleet, Member, address};
use crate::process;
use crate::rig::{FLEET, RARELY, Rig, SMALL, backend, backends, rule};

/// The service whose instances Roster reaches itself before they are ready.
pub(crate) const PROBED: &str = "probed";
/// The service whose instances HAProxy checks before they are ready.
pub(crate) const CHECKED: &str = "checked";
/// The service of the small file.
pub(crate) const TINY: &str = "tiny";
/// How often HAProxy checks the servers of [`CHECKED`].
pub(crate) const INTERVAL: Duration = Duration::from_millis(500);
/// How many instances the small file has.
const TINY_SIZE: usize = 10;
/// How many slots there are beyond what is needed.
const SPARE: usize = 2;
/// A part of the loopback network that the fleet's services do not reach.
const ELSEWHERE: usize = 50_000;

/// Everything that lives as long as it is measured.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) rig: Rig,
    pub(crate) daemon: Daemon,
    pub(crate) fleet: Fleet,
    tiny: Fleet,
    /// Servers that answer, for the services that ask first; two more than there are changes.
    pub(crate) listeners: Vec<HttpBackend>,
    /// What Roster held in memory right after it had filled everything.
    pub(crate) filled_bytes: u64,
    newcomers: usize,
}

impl House {
    /// Starts everything and waits until it is filled.
    pub(crate) fn build(bench: &Bench) -> anyhow::Result<Self> {
        let scale = bench.scale;
        let listeners: Vec<HttpBackend> =
            (0..scale.changes + SPARE).map(|_| HttpBackend::start("listener")).collect::<Result<_, _>>()?;
        let bulk = Fleet::new(scale.services, scale.instances);
        let rig = Rig::start(&bench.haproxy, &sections(bench, &bulk), &rules(&bulk))?;
        let (mut fleet, mut tiny) = (bulk, Fleet::default());
        for service in [PROBED, CHECKED] {
            // The first server of an empty backend would be ready at once.
            listeners.iter().take(1).for_each(|one| fleet.add(service, Member::at(one.addr())));
        }
        (0..TINY_SIZE).for_each(|n| tiny.add(TINY, Member::at(address(ELSEWHERE, n))));
        rig.put(SMALL, &tiny)?;
        rig.age_files()?;
        let mut daemon = Daemon::start(&bench.roster, &rig.config(), Some(&rig.state()))?;
        daemon.done(TINY, "ready")?;
        rig.put(FLEET, &fleet)?;
        daemon.line(&[CONVERGED])?;
        rig.holds(&fleet)?;
        let filled_bytes = process::resident(daemon.pid())?;
        Ok(Self { rig, daemon, fleet, tiny, listeners, filled_bytes, newcomers: 0 })
    }

    /// An instance that was never there before, at an address of its own or at this one.
    pub(crate) fn newcomer(&mut self, at: Option<SocketAddr>) -> Member {
        self.newcomers += 1;
        let at = at.unwrap_or_else(|| address(ELSEWHERE + 1 + self.newcomers / 250, self.newcomers));
        Member { at, id: Some(format!("new-{}", self.newcomers)) }
    }

    /// One instance more: the time from the rename to the read-back.
    pub(crate) fn come(&mut self, service: &str, member: &Member) -> anyhow::Result<Duration> {
        self.fleet_of(service).add(service, member.clone());
        self.change(service, "ready")
    }

    /// One instance less: the time from the rename to the read-back of a free slot.
    pub(crate) fn go(&mut self, service: &str, member: &Member) -> anyhow::Result<Duration> {
        self.fleet_of(service).remove(service, member);
        self.change(service, "maint")
    }

    fn fleet_of(&mut self, service: &str) -> &mut Fleet {
        if service == TINY { &mut self.tiny } else { &mut self.fleet }
    }

    fn change(&mut self, service: &str, op: &str) -> anyhow::Result<Duration> {
        let renamed = self.put(service)?;
        Ok(self.daemon.done(service, op)?.at - renamed)
    }

    /// Puts the file that the service stands in into place.
    pub(crate) fn put(&self, service: &str) -> anyhow::Result<Instant> {
        if service == TINY { self.rig.put(SMALL, &self.tiny) } else { self.rig.put(FLEET, &self.fleet) }
    }
}

fn sections(bench: &Bench, bulk: &Fleet) -> String {
    let changing = bench.scale.changes + 2 * SPARE;
    let every = format!("check inter {}ms", INTERVAL.as_millis());
    [
        backends(bulk, bench.scale.instances + SPARE),
        backend(PROBED, changing, RARELY),
        backend(CHECKED, changing, &every),
        backend(TINY, TINY_SIZE + SPARE, RARELY),
    ]
    .concat()
}

fn rules(bulk: &Fleet) -> String {
    [
        rule(FLEET, [PROBED], "probe"),
        rule(FLEET, [CHECKED], "check"),
        rule(FLEET, bulk.services(), "registry"),
        rule(SMALL, [TINY], "registry"),
    ]
    .concat()
}
