//! A HAProxy with slots, and the folder with the files that Roster reads.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use roster_testkit::{Haproxy, HaproxyBin, HaproxyVersion, Poll, wait_until};

use crate::fleet::Fleet;

/// Longer than HAProxy may take for anything here.
const CAP: Duration = Duration::from_secs(20);
/// What the slots of the large fleet are checked by: so rarely that the checks of thousands of addresses where nobody
/// listens take no part in what is measured. HAProxy would spread also the first of the other checks over the hour.
pub(crate) const RARELY: &str = "check inter 1h";
const SPREAD: &str = "max-spread-checks 100";

/// The source that has the large file.
pub(crate) const FLEET: &str = "fleet";
/// The source that has a small file.
pub(crate) const SMALL: &str = "small";

/// A HAProxy and Roster's files.
#[derive(Debug)]
pub(crate) struct Rig {
    // Declared before the folder: what uses it ends first.
    pub(crate) haproxy: Haproxy,
    folder: tempfile::TempDir,
}

/// Where each server points that takes traffic, by backend and name.
pub(crate) type Places = BTreeMap<(String, String), String>;

/// A backend with numbered slots; `check` is what its line says of checks.
pub(crate) fn backend(name: &str, slots: usize, check: &str) -> String {
    format!("backend {name}\n    server-template srv 1-{slots} 127.0.0.1:1 {check} disabled\n")
}

/// A backend for each service.
pub(crate) fn backends(fleet: &Fleet, slots: usize) -> String {
    fleet.services().map(|service| backend(service, slots, RARELY)).collect()
}

/// The rule that these services of a source come up so.
pub(crate) fn rule<'a>(source: &str, services: impl IntoIterator<Item = &'a str>, bring_up: &str) -> String {
    let services: Vec<String> = services.into_iter().map(|service| format!("{source}/{service}")).collect();
    format!("  - {{ service: [ {} ], bring_up: {bring_up} }}\n", services.join(", "))
}

impl Rig {
    /// Starts a HAProxy with these sections, and writes a configuration with these rules. Nobody is there yet.
    pub(crate) fn start(bin: &HaproxyBin, sections: &str, rules: &str) -> anyhow::Result<Self> {
        let haproxy = Haproxy::builder(bin).global(SPREAD).config(sections).start()?;
        let folder = tempfile::Builder::new().prefix("roster-bench-").tempdir()?;
        let rig = Self { haproxy, folder };
        let mut config = String::from("admin: off\nsources:\n");
        for source in [FLEET, SMALL] {
            writeln!(config, "  {source}: {{ file: {{ path: {source}.yaml }} }}")?;
            rig.put(source, &Fleet::default())?;
        }
        let socket = rig.haproxy.socket();
        writeln!(config, "targets:\n  local: {{ runtime: {{ socket: {} }} }}", socket.display())?;
        if !rules.is_empty() {
            writeln!(config, "expose:\n{rules}")?;
        }
        fs::write(rig.config(), config)?;
        Ok(rig)
    }

    /// Roster's configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("roster.yaml")
    }

    /// Roster's state folder.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn file(&self, source: &str) -> PathBuf {
        self.folder.path().join(format!("{source}.yaml"))
    }

    /// Replaces a source's file as a careful program does: written beside, renamed. Answers the moment of the rename.
    pub(crate) fn put(&self, source: &str, fleet: &Fleet) -> anyhow::Result<Instant> {
        let (file, beside) = (self.file(source), self.folder.path().join(format!(".{source}.new")));
        fs::write(&beside, fleet.yaml())?;
        let now = Instant::now();
        fs::rename(beside, file)?;
        Ok(now)
    }

    /// Makes the files look as if nobody had written to them for a while, as they usually are when Roster is started.
    pub(crate) fn age_files(&self) -> anyhow::Result<()> {
        for source in [FLEET, SMALL] {
            let file = fs::File::options().append(true).open(self.file(source))?;
            let before = file.metadata()?.modified()? - Duration::from_secs(60);
            file.set_modified(before)?;
        }
        Ok(())
    }

    /// Where the servers of a backend point that take traffic.
    fn ready(&self, backend: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let rows = self.haproxy.servers(backend)?;
        let ready = rows.into_iter().filter(|row| !row.in_maintenance() && !row.in_drain());
        Ok(ready.map(|row| (row.name.clone(), row.endpoint())).collect())
    }

    /// Where the servers of these services point that take traffic.
    pub(crate) fn places(&self, fleet: &Fleet) -> anyhow::Result<Places> {
        let mut places = Places::new();
        for service in fleet.services() {
            let ready = self.ready(service)?;
            places.extend(ready.into_iter().map(|(server, at)| ((service.to_owned(), server), at)));
        }
        Ok(places)
    }

    /// Makes sure that exactly this fleet takes traffic, each instance once.
    pub(crate) fn holds(&self, fleet: &Fleet) -> anyhow::Result<()> {
        for service in fleet.services() {
            let wanted: Vec<String> = fleet.addresses(service).into_iter().collect();
            // 3.x answers before it has taken an address over.
            wait_until(CAP, &format!("the servers of {service}"), || match self.ready(service) {
                Ok(ready) => {
                    let mut shown: Vec<String> = ready.into_values().collect();
                    shown.sort_unstable();
                    Poll::when(shown, |shown| *shown == wanted)
                }
                Err(error) => Poll::Pending(error.to_string()),
            })?;
        }
        Ok(())
    }

    /// A number of `show info`.
    pub(crate) fn info(&self, name: &str) -> anyhow::Result<u64> {
        let text = self.haproxy.cli("show info")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).with_context(|| format!("no {name} in show info"))
    }
}

/// The program to measure: the one that was asked for, or the one beside this one.
pub(crate) fn roster(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe()?.with_file_name("roster");
    let path = asked.map_or(beside, Path::to_owned);
    ensure!(
        path.is_file(),
        "{} is not there; run bench/run, which builds it, or give --roster",
        path.display()
    );
    Ok(path)
}

/// Every HAProxy to measure on.
pub(crate) fn haproxys(asked: &[String]) -> anyhow::Result<Vec<HaproxyBin>> {
    if asked.is_empty() {
        let usual = HaproxyBin::find(HaproxyVersion::V3_0);
        return Ok(std::iter::once(usual).chain(HaproxyBin::further()).collect::<Result<_, _>>()?);
    }
    let all: Vec<HaproxyBin> = HaproxyBin::all().into_iter().flatten().collect();
    let named = |which: &String| {
        let fits = |bin: &&HaproxyBin| bin.path() == Path::new(which) || bin.version().starts_with(which);
        all.iter().find(fits).cloned().with_context(|| {
            let known: Vec<String> = all.iter().map(ToString::to_string).collect();
            format!("{which} is none of {}; name others in HAPROXY_BINS", known.join(", "))
        })
    };
    asked.iter().map(named).collect()
}
