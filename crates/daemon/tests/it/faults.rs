//! What a user notices of each fault: failed requests and reloads, on each HAProxy and with both ways to open ports,
//! printed as one table (`make faults`).

mod cases;
mod tunnel;

use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use roster_config::env::{Env, ProcessEnv};
use roster_testkit::{HaproxyBin, HttpBackend, OrFail, TrafficLoad, free_port};

use crate::managed::ports::{LISTEN, exposed};
use crate::managed::site::{Roster, Site, backends, ports};
use crate::rig::all_versions;

/// What is tried, and what is promised of it.
struct Case {
    name: &'static str,
    /// Where no request fails.
    promise: Promise,
    /// Changes the site before Roster runs.
    prepare: fn(&mut Scene),
    /// Does the harm, and waits until all is well again.
    act: fn(&mut Scene),
}

/// Where no request may fail.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Promise {
    Always,
    /// Connections in the process that is killed end with it; with `listen: held` no new one is refused.
    NoneRefused,
}

/// One HAProxy with the service `web` under load.
struct Scene {
    // In the order in which they are to end: Roster, the file system, the folder that it is in.
    roster: Option<Roster>,
    mounted: Option<Mounted>,
    site: Site,
    servers: Vec<HttpBackend>,
    bin: HaproxyBin,
    /// A port for the case.
    other: u16,
    load: Option<TrafficLoad>,
    tunnel: Option<tunnel::Server>,
    /// Whether the case can be tried by this user.
    is_possible: bool,
}

/// A file system of its own, taken away when dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        // HAProxy may have files there still.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

/// What came of one case.
enum Cell {
    Measured {
        failed: u64,
        refused: u64,
        good: u64,
        reloads: usize,
    },
    /// It cannot be tried here.
    NotHere,
    /// It did not come to a good end, and why.
    Wrong(String),
}

impl Scene {
    fn new(bin: &HaproxyBin, listen: &'static str, case: &Case) -> Self {
        let mut site = Site::new(bin);
        site.keys += "settle: { quiet: 0s }\nlisten: ";
        site.keys += listen;
        site.keys += "\n";
        exposed(&mut site, &[]);
        let other = free_port().or_fail();
        let servers = backends(&["a", "b", "c"]);
        let (roster, load, tunnel, mounted, bin) = (None, None, None, None, bin.clone());
        let mut scene = Self { mounted, site, roster, servers, bin, other, load, tunnel, is_possible: true };
        (case.prepare)(&mut scene);
        scene
    }

    fn ports(&self) -> Vec<u16> {
        ports(&self.servers)
    }

    fn roster(&self) -> &Roster {
        self.roster.as_ref().unwrap()
    }

    /// Starts Roster, waits until `web` is served, and begins the load.
    fn begin(&mut self) {
        if self.roster.is_none() {
            self.site.services(&[("web", &self.ports()[..1])]);
            self.roster = Some(self.site.run());
        }
        self.site.until_served();
        self.site.until_ready("web", &self.ports()[..1]);
        self.site.until_written("web");
        self.load = Some(TrafficLoad::builder(self.site.address()).start());
    }

    /// A new service, which takes a reload; waits until its servers are ready.
    fn another_service(&self, name: &str) {
        let all = self.ports();
        self.site.services(&[("web", &all[..1]), (name, &all[1..2])]);
        self.site.until_ready(name, &all[1..2]);
    }
}

impl Case {
    fn is_broken(&self, failed: u64, refused: u64, listen: &str) -> bool {
        match self.promise {
            Promise::Always => failed > 0,
            Promise::NoneRefused => refused > 0 && listen == "held",
        }
    }
}

/// All cases, or those whose name has what `FAULT` says.
fn wanted() -> Vec<Case> {
    let only = ProcessEnv.get("FAULT").unwrap_or_default();
    cases::all().into_iter().filter(|case| case.name.contains(&only)).collect()
}

/// One case on one HAProxy.
fn run(case: &Case, bin: &HaproxyBin, listen: &'static str) -> Cell {
    let tried = catch_unwind(AssertUnwindSafe(|| {
        let mut scene = Scene::new(bin, listen, case);
        if !scene.is_possible {
            return Cell::NotHere;
        }
        scene.begin();
        (case.act)(&mut scene);
        scene.site.until_served();
        let totals = scene.load.take().map(TrafficLoad::stop).unwrap_or_default();
        let (failed, refused, good) = (totals.failed(), totals.refused, totals.ok);
        Cell::Measured { failed, refused, good, reloads: scene.site.reloads() }
    }));
    tried.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Cell::Wrong(text.unwrap_or_default())
    })
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Measured { failed, good, reloads, .. } => format!("{failed} of {}, {reloads}", good + failed),
        Cell::NotHere => "–".to_owned(),
        Cell::Wrong(_) => "not well again".to_owned(),
    }
}

/// All cases on one HAProxy.
fn column(bin: &HaproxyBin) -> Vec<[Cell; 2]> {
    let all = wanted();
    all.iter()
        .map(|case| {
            LISTEN.map(|listen| {
                eprintln!("{bin}, listen: {listen}: {}", case.name);
                run(case, bin, listen)
            })
        })
        .collect()
}

#[test]
#[ignore = "takes minutes: make faults"]
fn every_fault_on_every_haproxy_under_load() {
    let bins: Vec<HaproxyBin> = all_versions().collect();
    let columns: Vec<Vec<[Cell; 2]>> = thread::scope(|scope| {
        let running: Vec<_> = bins.iter().map(|bin| scope.spawn(|| column(bin))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut table = String::from("| fault | `listen` |");
    for bin in &bins {
        write!(table, " {bin} |").unwrap();
    }
    table += "\n|---|---|";
    table += &"---|".repeat(bins.len());
    let mut broken = String::new();
    for (row, case) in wanted().iter().enumerate() {
        for (side, listen) in LISTEN.iter().enumerate() {
            let name = if side == 0 { case.name } else { "" };
            write!(table, "\n| {name} | {listen} |").unwrap();
            for (column, bin) in columns.iter().zip(&bins) {
                let cell = &column[row][side];
                write!(table, " {} |", shown(cell)).unwrap();
                match cell {
                    Cell::Measured { failed, refused, .. } if case.is_broken(*failed, *refused, listen) => {
                        writeln!(broken, "{bin}, listen: {listen}: {}: {failed} failed", case.name).unwrap();
                    }
                    Cell::Wrong(why) => {
                        writeln!(broken, "{bin}, listen: {listen}: {}: {why}", case.name).unwrap();
                    }
                    _ => {}
                }
            }
        }
    }
    println!("Failed requests of all, and reloads:\n\n{table}\n");
    fs::write(std::env::temp_dir().join("roster-faults.md"), &table).or_fail();
    assert!(broken.is_empty(), "what is promised and did not hold:\n{broken}");
}
