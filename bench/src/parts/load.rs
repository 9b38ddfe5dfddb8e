//! Many changes while requests come all the time, each on a connection of its own.

use std::ops::AddAssign;
use std::time::Duration;

use anyhow::ensure;
use roster_testkit::{HttpBackend, Totals, TrafficBuilder, TrafficLoad};

use crate::Bench;
use crate::daemon::{CONVERGED, Daemon};
use crate::fleet::{Fleet, Member};
use crate::report::Row;
use crate::rig::{FLEET, Rig, backend};
use crate::sample::Sample;

const SERVICE: &str = "web";
/// How many changes one load lasts; the next begins before it ends.
const TURN: usize = 100;
/// A pseudo-random sequence of full period (Knuth's MMIX): the same seed makes the same changes.
const STEP: (u64, u64) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);

/// Real servers, some of which are in the file.
struct Pool {
    servers: Vec<HttpBackend>,
    inside: Vec<(usize, Member)>,
    outside: Vec<usize>,
    random: u64,
    came: usize,
}

/// What became of all requests.
#[derive(Default)]
struct Requests {
    ok: u64,
    failed: u64,
}

/// Changes the file again and again.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut pool = Pool::new(bench)?;
    let slots = pool.servers.len();
    let sections = format!(
        "frontend www\n    bind 127.0.0.1:{{port:web}}\n    default_backend {SERVICE}\n{}",
        backend(SERVICE, slots, "check inter 1s")
    );
    let rig = Rig::start(&bench.haproxy, &sections, "")?;
    rig.put(FLEET, &pool.fleet())?;
    rig.age_files()?;
    let mut daemon = Daemon::start(&bench.roster, &rig.config(), Some(&rig.state()))?;
    // The first one is ready before the others have been reached.
    for _ in 0..pool.inside.len() {
        daemon.line(&[&format!(" backend={SERVICE} "), " op=ready"])?;
    }
    rig.holds(&pool.fleet())?;

    let traffic = TrafficLoad::builder(rig.haproxy.addr("web")?).workers(4).pause(Duration::from_millis(2));
    let (pid, changes) = (rig.haproxy.worker_pid()?, bench.scale.load_changes);
    let (requests, times) = churn(&mut pool, &rig, &mut daemon, &traffic, changes)?;
    rig.holds(&pool.fleet())?;
    let reloads = usize::from(rig.haproxy.worker_pid()? != pid);
    daemon.stop()?;

    let Requests { ok, failed } = requests;
    let total = ok + failed;
    let count = Row::new(
        format!("{changes} changes of {slots} servers under load: requests, failed, reloads"),
        format!("{total}, {failed}, {reloads}"),
    );
    let count = count.against("none failed, no reload", ok > 0 && failed == 0 && reloads == 0);
    Ok(vec![count, Row::new("under load: one change, `probe` or drain", Sample::times(times))])
}

/// Makes the changes, one after the other, each when HAProxy was told of the one before.
fn churn(
    pool: &mut Pool,
    rig: &Rig,
    daemon: &mut Daemon,
    traffic: &TrafficBuilder,
    changes: usize,
) -> anyhow::Result<(Requests, Vec<Duration>)> {
    let (mut requests, mut times) = (Requests::default(), Vec::with_capacity(changes));
    let mut load = traffic.clone().start();
    for n in 1..=changes {
        let op = pool.change();
        let renamed = rig.put(FLEET, &pool.fleet())?;
        let done = daemon.line(&[&format!(" backend={SERVICE} "), &format!(" op={op}")])?;
        times.push(done.at - renamed);
        if n % TURN == 0 {
            let next = traffic.clone().start();
            requests += std::mem::replace(&mut load, next).stop();
        }
    }
    // What still drains is a change too.
    daemon.line(&[CONVERGED])?;
    requests += load.stop();
    ensure!(requests.ok > 0, "no request was answered");
    Ok((requests, times))
}

impl Pool {
    /// Half of the servers are in the file.
    fn new(bench: &Bench) -> anyhow::Result<Self> {
        let count = bench.scale.load_servers;
        let start = |n| HttpBackend::start(&format!("server-{n}"));
        let servers = (0..count).map(start).collect::<Result<_, _>>()?;
        let mut pool = Self {
            servers,
            inside: Vec::new(),
            outside: (0..count).collect(),
            random: bench.scale.seed,
            came: 0,
        };
        (0..count / 2).for_each(|_| pool.come());
        Ok(pool)
    }

    fn fleet(&self) -> Fleet {
        let mut fleet = Fleet::default();
        self.inside.iter().for_each(|(_, member)| fleet.add(SERVICE, member.clone()));
        fleet
    }

    /// Adds or removes one at random; answers the operation that shows it.
    fn change(&mut self) -> &'static str {
        // Below a third, a guard might rightly doubt the source.
        let few = self.inside.len() <= self.servers.len().div_ceil(3);
        let comes = self.outside.is_empty() || few || self.below(2) == 0;
        if self.outside.is_empty() || !comes {
            let one = self.below(self.inside.len());
            let (server, _) = self.inside.swap_remove(one);
            self.outside.push(server);
            return "drain";
        }
        self.come();
        "ready"
    }

    /// As in a real fleet, whoever comes is somebody new, though it may listen where somebody was before.
    fn come(&mut self) {
        let one = self.below(self.outside.len());
        let server = self.outside.swap_remove(one);
        self.came += 1;
        if let Some(at) = self.servers.get(server).map(HttpBackend::addr) {
            self.inside.push((server, Member { at, id: Some(format!("new-{}", self.came)) }));
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random = self.random.wrapping_mul(STEP.0).wrapping_add(STEP.1);
        // The lower bits repeat soon.
        usize::try_from(self.random >> 33).unwrap_or(0) % limit.max(1)
    }
}

impl AddAssign<Totals> for Requests {
    fn add_assign(&mut self, totals: Totals) {
        self.ok += totals.ok;
        self.failed += totals.failed();
    }
}
