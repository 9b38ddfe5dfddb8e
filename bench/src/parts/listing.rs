//! A large fleet of AWS: how long a listing and its decision take, and what memory it wants.
//!
//! The stand-in for EC2 answers in pages of a thousand, as AWS does. Its own work is in every time here.

use std::ffi::OsStr;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roster_testkit::{Ec2Machine, Ec2StandIn, Haproxy};

use super::megabytes;
use crate::Bench;
use crate::daemon::{CONVERGED, Daemon};
use crate::fleet::{address, service};
use crate::process;
use crate::report::Row;
use crate::rig::{RARELY, backend};
use crate::sample::Sample;

/// The longest for a whole listing and its decision, in milliseconds.
const WITHIN: f64 = 1_000.0;
/// The most memory, in bytes.
const MEMORY: u64 = 60_000_000;
/// Instances of a service.
const EACH: usize = 100;
/// Listings that are watched for their memory.
const LISTINGS: usize = 5;

/// A region, a HAProxy with slots for some of it, and Roster's configuration.
struct Site {
    ec2: Ec2StandIn,
    haproxy: Haproxy,
    folder: tempfile::TempDir,
}

/// Measures both.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    Ok(vec![time(bench)?, memory(bench)?])
}

fn time(bench: &Bench) -> anyhow::Result<Row> {
    let machines = bench.scale.listed;
    let site = Site::start(bench, machines, machines / EACH)?;
    site.succeeds(bench, "once")?;
    let runs = (0..bench.scale.runs).map(|_| {
        let begun = Instant::now();
        site.succeeds(bench, "plan")?;
        Ok(begun.elapsed())
    });
    let times = Sample::times(runs.collect::<anyhow::Result<Vec<Duration>>>()?);
    let reached = times.median() <= WITHIN;
    let what = format!("{machines} instances of EC2 listed and decided, `plan` as a whole, nothing to do");
    Ok(Row::new(what, times).against(format!("≤ {WITHIN} ms"), reached))
}

fn memory(bench: &Bench) -> anyhow::Result<Row> {
    let machines = bench.scale.remembered;
    let site = Site::start(bench, machines, 1)?;
    let mut daemon = Daemon::spawn(site.command(bench, "run"))?;
    daemon.line(&[CONVERGED])?;
    let calls = site.ec2.calls().len() * LISTINGS;
    while site.ec2.calls().len() < calls {
        std::thread::sleep(Duration::from_millis(100));
    }
    let (peak, now) = (process::peak(daemon.pid())?, process::resident(daemon.pid())?);
    let shown = format!("{} at most in {LISTINGS} listings, {} now", megabytes(peak), megabytes(now));
    let what = format!("resident memory with {machines} instances of EC2, {EACH} of them servers");
    Ok(Row::new(what, shown).against(format!("≤ {}", megabytes(MEMORY)), peak <= MEMORY))
}

impl Site {
    /// `exposed` services have a backend with a slot for each instance.
    fn start(bench: &Bench, machines: usize, exposed: usize) -> anyhow::Result<Self> {
        let ec2 = Ec2StandIn::start()?;
        ec2.world(|world| world.machines = (0..machines).map(machine).collect());
        let sections: String = (0..exposed).map(|number| backend(&service(number), EACH, RARELY)).collect();
        let haproxy = Haproxy::builder(&bench.haproxy).config(&sections).start()?;
        let services: Vec<String> =
            (0..exposed).map(|number| format!("fleet/{}/8080/us-east-2", service(number))).collect();
        let config = format!(
            "sources: {{ fleet: {{ aws: {{ region: us-east-2, endpoint: \"{}\", poll: {{ every: 1s, jitter: 0s }} }} }} }}\n\
             targets: {{ local: {{ runtime: {{ socket: {} }} }} }}\nadmin: off\n\
             expose: [ {{ service: [ {} ], backend: \"{{service}}\", bring_up: registry }} ]\n",
            ec2.url(),
            haproxy.socket().display(),
            services.join(", ")
        );
        let folder = tempfile::Builder::new().prefix("roster-bench-").tempdir()?;
        fs::write(folder.path().join("roster.yaml"), config)?;
        Ok(Self { ec2, haproxy, folder })
    }

    fn command(&self, bench: &Bench, word: &str) -> Command {
        let at = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(&bench.roster);
        command.env_clear().stdin(Stdio::null()).env("HOME", self.folder.path());
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_EC2_METADATA_DISABLED", "true").arg(word);
        command.args([OsStr::new("-c"), at("roster.yaml").as_os_str()]);
        command.args([OsStr::new("--state-dir"), at("state").as_os_str()]);
        command
    }

    fn succeeds(&self, bench: &Bench, word: &str) -> anyhow::Result<()> {
        let output = self.command(bench, word).output().context("roster cannot be run")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{word} at {}: {said}", self.haproxy.socket().display());
        Ok(())
    }
}

/// An instance with as many tags as is usual.
fn machine(number: usize) -> Ec2Machine {
    let (of, low) = (number / EACH, number % EACH);
    let id = format!("i-{number:017x}");
    let name = service(of);
    let tags = [
        ("HAProxy:Service:Name", name.as_str()),
        ("HAProxy:Service:Port", "8080"),
        ("Name", &id),
        ("environment", "production"),
        ("team", "web"),
        ("cost-centre", "1234"),
    ];
    let at = address(of, low).to_string();
    Ec2Machine::new(&id, at.split(':').next().unwrap_or_default(), &tags)
}
