//! A HAProxy of many servers behind a Data Plane API, and everybody who changes it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roster_haproxy::dataplane::apply;
use roster_haproxy::version::Version;
use roster_targets::dataplane::client::{Client, ConfigVersion, Server, Settings, Tls, VersionChoice, View};
use roster_testkit::{DataplaneApi, DataplaneVersion, Haproxy, Latency, Poll, wait_until};

use super::lineup::{BACKEND, Lineup};
use crate::Bench;
use crate::daemon::{CONVERGED, Daemon};

/// Longer than anything here may take.
const CAP: Duration = Duration::from_secs(30);
/// How long Roster is left alone before a change: what follows its start, or the change before, is no part of this one.
const AT_REST: Duration = Duration::from_secs(1);
/// How often HAProxy's file is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(2);
/// The user of the API, as the testkit has it.
pub(crate) const USER: (&str, &str) = ("admin", "test-password");

/// HAProxy, the API, and the folder of Roster's files.
#[derive(Debug)]
pub(super) struct Site {
    runtime: tokio::runtime::Runtime,
    client: Client,
    // Declared before HAProxy: what uses it ends first.
    api: DataplaneApi,
    haproxy: Haproxy,
    folder: tempfile::TempDir,
}

/// How Roster reaches HAProxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reach {
    /// By the API alone.
    Api,
    /// By the API and HAProxy's own socket.
    Socket,
}

/// A transaction that was committed.
#[derive(Debug)]
pub(super) struct Transacted {
    pub(super) took: Duration,
    pub(super) puts: Vec<Duration>,
}

/// A bare call that is ready to be sent.
#[derive(Debug)]
struct Prepared {
    text: String,
    version: ConfigVersion,
    actions: String,
}

/// A change by Roster, timed from the rename of the file of services.
#[derive(Debug)]
pub(super) struct Kept {
    /// Until its line that the read-back agrees.
    pub(super) shown: Duration,
    /// What of that was the pass, by Roster's own word.
    pub(super) pass: Duration,
    /// Until HAProxy's file said it too.
    pub(super) written: Duration,
    /// How often the API was called meanwhile; not known of the real program.
    pub(super) calls: Option<u64>,
}

/// A Roster that keeps the site.
#[derive(Debug)]
pub(super) struct Keeping<'a> {
    site: &'a Site,
    daemon: Daemon,
}

impl Site {
    /// Starts HAProxy, and the API before it.
    pub(super) fn start(bench: &Bench, lineup: &Lineup) -> anyhow::Result<Self> {
        let config = format!(
            "global\n  stats socket {{socket}} mode 600 level admin expose-fd listeners\n\n\
             defaults unnamed_defaults_1\n  mode http\n  timeout connect 2s\n  timeout client 30s\n  \
             timeout server 30s\n\nfrontend www\n  bind 127.0.0.1:{{port:web}}\n  default_backend {BACKEND}\n\n\
             backend {BACKEND}\n  balance roundrobin\n{}",
            lineup.lines()
        );
        let haproxy = Haproxy::builder(&bench.haproxy).whole_config(&config).master_worker().start()?;
        let (api, client) = with_api(bench, &haproxy)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let folder = tempfile::Builder::new().prefix("roster-bench-").tempdir()?;
        Ok(Self { runtime, client, api, haproxy, folder })
    }

    /// Whether the API is the real program.
    pub(super) fn is_real(&self) -> bool {
        self.api.is_real()
    }

    /// Which API it is.
    pub(super) fn api(&self) -> &'static str {
        self.api.version().word()
    }

    /// How often HAProxy was reloaded.
    pub(super) fn reloads(&self) -> anyhow::Result<u64> {
        reloads(&self.haproxy)
    }

    /// Changes servers as most programs do: a transaction, in it a `PUT` of each server, and a commit that reloads. The
    /// objects are at hand; nothing is read but the version.
    pub(super) fn transact(&self, before: &Lineup, after: &Lineup) -> anyhow::Result<Transacted> {
        let transacted = self.runtime.block_on(async {
            let known = self.client.servers(BACKEND, View::InForce).await?.value;
            let objects = objects(&known, before, after)?;
            let begun = Instant::now();
            let version = self.client.version().await?;
            let transaction = self.client.begin(version).await?;
            let mut puts = Vec::with_capacity(objects.len());
            for (name, object) in &objects {
                let begun = Instant::now();
                self.client.replace_server(BACKEND, name, object, transaction.write()).await?;
                puts.push(begun.elapsed());
            }
            transaction.commit(true).await?;
            anyhow::Ok(Transacted { took: begun.elapsed(), puts })
        })?;
        self.shows(after).context("after the transaction")?;
        Ok(transacted)
    }

    /// Changes servers by one raw call without a reload, whose text and actions are at hand. Nothing is read.
    pub(super) fn call(&self, before: &Lineup, after: &Lineup) -> anyhow::Result<Duration> {
        let took = self.runtime.block_on(async {
            let Prepared { text, version, actions } = self.prepare(before, after).await?;
            let begun = Instant::now();
            self.client.write_live(text, version, &actions).await?;
            anyhow::Ok(begun.elapsed())
        })?;
        self.shows(after).context("after the bare call")?;
        Ok(took)
    }

    async fn prepare(&self, before: &Lineup, after: &Lineup) -> anyhow::Result<Prepared> {
        let raw = self.client.raw().await?;
        let text = apply(&raw.text, &after.edits()?, Version::OLDEST)?;
        Ok(Prepared { text, version: raw.version, actions: after.actions(before) })
    }

    /// Lets Roster keep what there is, and returns once it is at rest.
    pub(super) fn keep(&self, bench: &Bench, reach: Reach, lineup: &Lineup) -> anyhow::Result<Keeping<'_>> {
        let socket = match reach {
            Reach::Api => String::new(),
            Reach::Socket => format!(", socket: {}", self.haproxy.socket().display()),
        };
        let config = format!(
            "sources: {{ fleet: {{ file: {{ path: services.yaml }} }} }}\n\
             targets: {{ edge: {{ dataplane: {{ url: \"{}\", username: {}, password: {}{socket} }} }} }}\n\
             admin: off\n\
             expose: [ {{ each: fleet, bring_up: registry, drain: {{ cap: 0s }}, guard: off }} ]\n",
            self.api.url(),
            USER.0,
            USER.1
        );
        let path = self.folder.path().join("roster.yaml");
        fs::write(&path, config)?;
        self.put(lineup)?;
        let services = fs::File::options().append(true).open(self.services())?;
        services.set_modified(services.metadata()?.modified()? - Duration::from_secs(60))?;
        // Others changed servers meanwhile: what an earlier Roster kept in mind is of no use.
        let state = tempfile::Builder::new().prefix("state-").tempdir_in(self.folder.path())?.keep();
        let mut daemon = Daemon::start(&bench.roster, &path, Some(&state))?;
        daemon.line(&["HAProxy answers"])?;
        daemon.at_rest()?;
        self.shows(lineup).context("after Roster's start")?;
        Ok(Keeping { site: self, daemon })
    }

    fn services(&self) -> PathBuf {
        self.folder.path().join("services.yaml")
    }

    /// Replaces the file of services. Answers the moment of the rename.
    fn put(&self, lineup: &Lineup) -> anyhow::Result<Instant> {
        let beside = self.folder.path().join(".services.new");
        fs::write(&beside, lineup.yaml())?;
        let now = Instant::now();
        fs::rename(beside, self.services())?;
        Ok(now)
    }

    /// Makes sure that the running process is so.
    fn shows(&self, lineup: &Lineup) -> anyhow::Result<()> {
        wait_until(CAP, "the servers", || match self.haproxy.servers(BACKEND) {
            Ok(rows) => Poll::when(rows, |rows| lineup.is_shown(rows)),
            Err(error) => Poll::Pending(error.to_string()),
        })?;
        Ok(())
    }

    /// Waits until HAProxy's file is so.
    fn says(&self, lineup: &Lineup) -> anyhow::Result<Instant> {
        let until = Instant::now() + CAP;
        let mut known = String::new();
        loop {
            let text = fs::read_to_string(self.haproxy.config_path())?;
            let now = Instant::now();
            if text != known && lineup.is_written(&text) {
                return Ok(now);
            }
            ensure!(now < until, "HAProxy's file did not follow within {CAP:?}");
            known = text;
            std::thread::sleep(LOOK);
        }
    }

    fn calls(&self) -> u64 {
        self.api.counters().requests.values().sum()
    }
}

/// Starts an API before a HAProxy, of the version that goes with it: the stand-in with the times of the real program as its
/// least ones, or the real program. With it comes a client.
pub(crate) fn with_api(bench: &Bench, haproxy: &Haproxy) -> anyhow::Result<(DataplaneApi, Client)> {
    let version =
        if bench.haproxy.version().starts_with('2') { DataplaneVersion::V2 } else { DataplaneVersion::V3 };
    let api = DataplaneApi::builder(version).haproxy(haproxy).latency(Latency::measured()).start()?;
    let client = Client::new(Settings {
        url: api.url().parse()?,
        version: VersionChoice::Auto,
        username: USER.0.to_owned(),
        password: USER.1.to_owned().into(),
        tls: Tls::default(),
        timeout: CAP,
    })?;
    Ok((api, client))
}

/// How often a HAProxy was reloaded, by its master's own count.
pub(crate) fn reloads(haproxy: &Haproxy) -> anyhow::Result<u64> {
    // A master that executes itself anew refuses connections for a moment.
    let text = wait_until(CAP, "the master's CLI", || haproxy.master_cli("show proc"))?;
    let master = text.lines().find(|line| line.split_whitespace().nth(1) == Some("master"));
    let count = master.and_then(|line| line.split_whitespace().nth(2)?.parse().ok());
    count.with_context(|| format!("no count of reloads in\n{text}"))
}

/// Lets everything that is under way come to its end.
pub(super) fn rest() {
    std::thread::sleep(AT_REST);
}

/// The servers that change, as the API has them.
fn objects(known: &[Server], before: &Lineup, after: &Lineup) -> anyhow::Result<Vec<(String, Server)>> {
    let object = |(name, wanted): (String, super::lineup::Server)| {
        let mut object =
            known.iter().find(|known| known.name() == name).context("a server's object")?.clone();
        object.set_address(&wanted.at.ip.to_string()).set_port(wanted.at.port.get());
        object.set_weight(wanted.weight.get()).set_maintenance(!wanted.up);
        Ok((name, object))
    };
    after.differing(before).map(object).collect()
}

impl Keeping<'_> {
    /// Changes the file of services, and waits until all of it is shown and written.
    pub(super) fn change(&mut self, after: &Lineup, operations: usize) -> anyhow::Result<Kept> {
        let calls = self.site.calls();
        let renamed = self.site.put(after)?;
        let line = self.daemon.line(&[CONVERGED])?;
        let calls = (!self.site.is_real()).then(|| self.site.calls() - calls);
        let written = self.site.says(after)?;
        self.site.shows(after).context("after Roster changed it")?;
        let done = line.number("operations")?;
        ensure!(done == u64::try_from(operations)?, "{done} operations and not {operations}: {}", line.text);
        let pass = Duration::from_millis(line.number("dur_ms")?);
        Ok(Kept { shown: line.at - renamed, pass, written: written - renamed, calls })
    }

    /// Ends Roster.
    pub(super) fn stop(mut self) -> anyhow::Result<()> {
        self.daemon.stop()
    }
}
