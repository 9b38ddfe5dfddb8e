//! The machines of a cloud, as a whole: `--once` of the program that Roster stands in for, beside Roster's own, with the
//! same file, before the same moto server, HAProxy and Data Plane API.
//!
//! Both take turns from the same state. What is measured is the program's life, from its start to its end; whether HAProxy
//! shows all of it is looked at afterwards.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roster_targets::dataplane::client::Client;
use roster_testkit::{DataplaneApi, Haproxy, Moto, Poll, wait_until};

use crate::Bench;
use crate::parts::dataplane::{USER, reloads, with_api};
use crate::report::Row;
use crate::sample::Sample;

/// Names the program to compare with; nothing of it is needed to measure Roster alone.
const PEER: &str = "HAPROXY_CLOUD_DISCOVERY";
/// The original takes at least so many times as long.
const TIMES: f64 = 5.0;
/// Longer than anything here may take.
const CAP: Duration = Duration::from_secs(60);
const REGION: &str = "us-east-2";
const BACKEND: &str = "aws-bench-8080-us-east-2";
const BASE: &str = "global\n  stats socket {socket} mode 600 level admin expose-fd listeners\n\n\
                    userlist dataplane\n  user admin insecure-password test-password\n\n\
                    defaults unnamed_defaults_1\n  mode http\n  timeout connect 2s\n  timeout client 30s\n  \
                    timeout server 30s\n\nfrontend www\n  bind 127.0.0.1:{port:web}\n";

/// What was found, and what has to be said of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Row>,
    pub(crate) note: String,
}

/// How HAProxy stands before.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Before {
    /// It has no such backend.
    Nothing,
    /// It has free slots for all.
    Slots,
    /// It is as the cloud says.
    All,
}

/// A program that keeps the file of the original.
#[derive(Debug)]
struct Program {
    path: PathBuf,
    words: Vec<OsString>,
    runs: BTreeMap<Before, Runs>,
}

/// Runs that all began alike.
#[derive(Debug, Default)]
struct Runs {
    lives: Vec<Duration>,
    reloads: u64,
}

struct Site {
    runtime: tokio::runtime::Runtime,
    client: Client,
    api: DataplaneApi,
    haproxy: Haproxy,
    moto: Moto,
    folder: tempfile::TempDir,
    machines: usize,
    /// HAProxy's file without the backend.
    base: String,
}

/// Measures Roster, and the original where it is named.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Found> {
    let site = Site::start(bench)?;
    let mut roster = Program::new(bench.roster.clone(), &["as", "haproxy-cloud-discovery"]);
    let named = std::env::var_os(PEER).map(PathBuf::from);
    let mut peer = named.map(|path| Program::new(path, &[]));
    for _ in 0..bench.scale.runs {
        for program in [Some(&mut roster), peer.as_mut()].into_iter().flatten() {
            // What one made is what the next finds.
            for before in [Before::Nothing, Before::All, Before::Slots] {
                program.live(&site, before)?;
            }
        }
    }
    let rows = [Before::Nothing, Before::Slots, Before::All];
    let rows = rows.into_iter().map(|before| {
        let runs = |program: &mut Program| program.runs.remove(&before).unwrap_or_default();
        row(&site, before, runs(&mut roster), peer.as_mut().map(runs))
    });
    Ok(Found { rows: rows.collect(), note: note(&site, peer.is_some()) })
}

fn row(site: &Site, before: Before, roster: Runs, peer: Option<Runs>) -> Row {
    let what = format!("{} machines of a cloud, `--once`: {}", site.machines, before.told());
    let count = roster.lives.len();
    // A new backend comes by a reload.
    let expected = if before == Before::Nothing { u64::try_from(count).unwrap_or(u64::MAX) } else { 0 };
    let is_calm = roster.reloads == expected;
    let lives = Sample::times(roster.lives);
    let told = format!("{lives}; {} reloads in {count} runs", roster.reloads);
    let Some(peer) = peer else {
        return Row::new(what, told).against(format!("{expected} reloads"), is_calm);
    };
    let theirs = Sample::times(peer.lives);
    let times = theirs.median() / lives.median();
    let told = format!("{told}. The original {theirs}; {} reloads; {times:.1} times Roster's", peer.reloads);
    Row::new(what, told).against(format!("≥ {TIMES} × Roster, {expected} reloads"), times >= TIMES && is_calm)
}

fn note(site: &Site, compared: bool) -> String {
    let api = if site.api.is_real() {
        "the real program"
    } else {
        "the testkit's stand-in with the real one's times"
    };
    let peer = if compared {
        format!("The original is the program that `{PEER}` names.")
    } else {
        format!("Nothing was compared: `{PEER}` names the original's program and was not set.")
    };
    format!(
        "Rows with `--once`: whole lives of programs, from start to end, before moto and /{} of the Data Plane API, {api}. {peer}",
        site.api.version().word()
    )
}

impl Before {
    fn told(self) -> &'static str {
        match self {
            Self::Nothing => "a new backend",
            Self::Slots => "all come into free slots",
            Self::All => "nothing changed",
        }
    }
}

impl Program {
    fn new(path: PathBuf, words: &[&str]) -> Self {
        let words = words.iter().map(OsString::from).collect();
        Self { path, words, runs: BTreeMap::new() }
    }

    fn live(&mut self, site: &Site, before: Before) -> anyhow::Result<()> {
        site.set(before)?;
        let start = reloads(&site.haproxy)?;
        let mut command = Command::new(&self.path);
        command.args(&self.words).arg("--once").arg("-c").arg(site.folder.path().join("config.yaml"));
        site.env(&mut command);
        let begun = Instant::now();
        let output = command.output().with_context(|| format!("{} cannot be run", self.path.display()))?;
        let took = begun.elapsed();
        ensure!(
            output.status.success(),
            "{}: {}",
            self.path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        site.shows_all()?;
        let runs = self.runs.entry(before).or_default();
        runs.lives.push(took);
        runs.reloads += reloads(&site.haproxy)?.saturating_sub(start);
        Ok(())
    }
}

impl Site {
    fn start(bench: &Bench) -> anyhow::Result<Self> {
        let machines = bench.scale.instances;
        let haproxy = Haproxy::builder(&bench.haproxy).whole_config(BASE).master_worker().start()?;
        let (api, client) = with_api(bench, &haproxy)?;
        let moto = Moto::start(REGION)?;
        moto.instances(machines, &[("HAProxy:Service:Name", "bench"), ("HAProxy:Service:Port", "8080")])?;
        let folder = tempfile::Builder::new().prefix("roster-bench-").tempdir()?;
        let config = format!(
            "aws: {{ region: {REGION} }}\nhaproxy:\n  base_url: \"{}\"\n  api_version: {}\n  username: {}\n  \
             password: \"${{HAPROXY_DATAPLANE_PASSWORD}}\"\n  timeout: 60\n  backend: {{ name_prefix: aws }}\n  \
             server_slots: {{ base: {} }}\n",
            api.url(),
            api.version().word(),
            USER.0,
            slots(machines)
        );
        fs::write(folder.path().join("config.yaml"), config)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let base = runtime.block_on(client.raw())?.text;
        Ok(Self { runtime, client, api, haproxy, moto, folder, machines, base })
    }

    /// What a program finds in its environment.
    fn env(&self, command: &mut Command) {
        command.env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.folder.path()).env("AWS_ENDPOINT_URL", self.moto.url());
        command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_EC2_METADATA_DISABLED", "true").env("HAPROXY_DATAPLANE_PASSWORD", USER.1);
    }

    /// Puts HAProxy into a state, by a reload, and returns once another process serves.
    fn set(&self, before: Before) -> anyhow::Result<()> {
        let free = |slot| format!("  server srv{slot} 127.0.0.1:80 cookie srv{slot} disabled\n");
        let text = match before {
            Before::All => return Ok(()),
            Before::Nothing => self.base.clone(),
            Before::Slots => {
                let servers: String = (1..=slots(self.machines)).map(free).collect();
                format!("{}\nbackend {BACKEND}\n  mode http\n  balance roundrobin\n{servers}", self.base)
            }
        };
        let pid = self.pid()?;
        // One that comes too soon after another's reload is refused.
        wait_until(CAP, "the file to be taken", || {
            self.runtime.block_on(async {
                let version = self.client.version().await?;
                self.client.write_reload(text.clone(), version, true).await
            })
        })?;
        wait_until(CAP, "another process", || Poll::when(self.pid().unwrap_or(pid), |now| *now != pid))?;
        Ok(())
    }

    fn pid(&self) -> anyhow::Result<u32> {
        let info = self.haproxy.cli("show info")?;
        let line = info.lines().find_map(|line| line.strip_prefix("Pid: "));
        line.and_then(|pid| pid.trim().parse().ok()).context("HAProxy's pid")
    }

    /// Waits until HAProxy shows all machines, each in a slot of its own.
    fn shows_all(&self) -> anyhow::Result<()> {
        wait_until(CAP, "all machines", || match self.haproxy.servers(BACKEND) {
            Ok(rows) => {
                let active = rows.iter().filter(|row| !row.in_maintenance()).count();
                Poll::when((active, rows.len()), |seen| *seen == (self.machines, slots(self.machines)))
            }
            Err(error) => Poll::Pending(error.to_string()),
        })?;
        Ok(())
    }
}

/// Room for all machines, and a few more.
fn slots(machines: usize) -> usize {
    machines + machines / 5
}
